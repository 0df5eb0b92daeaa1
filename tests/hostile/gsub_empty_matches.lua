-- expect: 1 MiB
return #string.gsub(('a'):rep(1000000), '.-', 'x')
