-- expect: undefined global 'load'
return load.x
