-- expect: at most 250
return string.byte(('x'):rep(1000), 1, -1)
