-- expect: out of fuel
return string.find(('a'):rep(20000), '(.*)(.*)%1%2b')
