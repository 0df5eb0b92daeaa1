-- expect: 1 MiB
return #string.gsub(('a'):rep(10000), 'a', ('b'):rep(10000))
