-- expect: 1 MiB
return #('x'):rep(1e9)
