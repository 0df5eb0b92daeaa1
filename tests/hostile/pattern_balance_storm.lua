-- expect: out of fuel
return string.find(('('):rep(100000), '%b()')
