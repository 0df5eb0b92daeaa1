-- expect: stack overflow
local t = setmetatable({}, {})
setmetatable(t, {__index = function(s, k) return s[k .. 'x'] end})
return t.a
