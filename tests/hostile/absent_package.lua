-- expect: undefined global 'package'
return package.x
