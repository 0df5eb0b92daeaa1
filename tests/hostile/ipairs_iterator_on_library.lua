-- expect: ok
local f, s, i = ipairs(string)
assert(f(s, i) == nil)
return 1
