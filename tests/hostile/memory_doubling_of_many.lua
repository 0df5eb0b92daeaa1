-- expect: 1 MiB
local s = ('x'):rep(1000000)
return s .. s .. s .. s .. s .. s
