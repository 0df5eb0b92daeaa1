-- expect: 1 MiB
return #string.format('%s%s%s', ('x'):rep(1000000), ('x'):rep(1000000), 'x')
