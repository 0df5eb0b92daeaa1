-- expect: undefined global 'getfenv'
return getfenv.x
