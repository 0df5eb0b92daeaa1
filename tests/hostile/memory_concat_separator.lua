-- expect: 1 MiB
return #table.concat({1, 2, 3, 4}, ('x'):rep(1000000))
