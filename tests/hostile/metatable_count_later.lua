-- expect: ok
local m = {}
local t = setmetatable({}, m)
m.__count = 1e9
m.__of = string
m.__owner = string
assert(#t == 0 and getmetatable(t) == m and next(t) == nil) return 1
