-- expect: undefined global 'module'
return module.x
