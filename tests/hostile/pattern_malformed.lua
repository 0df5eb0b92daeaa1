-- expect: malformed pattern
return string.find('a', '[a')
