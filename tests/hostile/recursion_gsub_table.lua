-- expect: stack overflow
local t = setmetatable({}, {})
setmetatable(t, {__index = function(s, k) return (string.gsub('a', 'a', s)) end})
return string.gsub('a', 'a', t)
