-- expect: too many captures
return string.find('a', ('()'):rep(33))
