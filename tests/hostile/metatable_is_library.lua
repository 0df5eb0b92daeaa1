-- expect: ok
local t = setmetatable({}, string)
assert(t.rep == nil and getmetatable(t) == string) return 1
