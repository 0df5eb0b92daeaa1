-- expect: undefined global 'debug'
return debug.x
