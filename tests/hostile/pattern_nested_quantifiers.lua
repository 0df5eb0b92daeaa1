-- expect: out of fuel
return string.find(('a'):rep(5000), ('.-'):rep(10) .. 'b')
