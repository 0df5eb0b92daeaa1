-- expect: stack overflow
local t = setmetatable({}, {__tostring = function(s) return string.format('%s!', s) end})
return tostring(t)
