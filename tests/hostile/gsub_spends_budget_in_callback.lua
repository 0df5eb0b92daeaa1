-- expect: out of fuel
pcall(string.gsub, 'aaa', 'a', function() while true do end end)
return 'went on'
