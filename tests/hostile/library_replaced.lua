-- expect: string.format is read-only
string.format = function() return 'evil' end
