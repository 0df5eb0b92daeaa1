-- expect: ok
assert(getmetatable(string) == false) return 1
