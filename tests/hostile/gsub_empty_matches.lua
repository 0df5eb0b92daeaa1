-- expect: out of fuel
return #string.gsub(('a'):rep(1000000), '.-', 'x')
