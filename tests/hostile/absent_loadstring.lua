-- expect: undefined global 'loadstring'
return loadstring.x
