-- expect: stack overflow
local m = {}
local t = setmetatable({}, m)
m.__call = function(s) return 1 + s() end
setmetatable(t, m)
return t()
