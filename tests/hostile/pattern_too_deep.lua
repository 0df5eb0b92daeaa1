-- expect: too complex
return string.find(('a'):rep(1000), ('a?'):rep(1000) .. 'b')
