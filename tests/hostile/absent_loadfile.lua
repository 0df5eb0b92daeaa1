-- expect: undefined global 'loadfile'
return loadfile.x
