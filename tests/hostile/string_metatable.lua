-- expect: ok
assert(getmetatable('') == nil) return 1
