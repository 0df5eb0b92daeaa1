-- expect: out of fuel
return #string.gsub(('a'):rep(100000), '.*', ('%0'):rep(1000))
