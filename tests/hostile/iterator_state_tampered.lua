-- expect: ok
local f = pairs({a = 1, b = 2})
assert(f({}, 'zzz') == 'a')
assert(f(string, 1e9) == 'b')
assert(f() == nil and f() == nil)
return 1
