-- expect: at most 250
return unpack({}, 1, 1e9)
