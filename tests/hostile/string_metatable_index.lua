-- expect: ok
assert(('x').x == nil) return 1
