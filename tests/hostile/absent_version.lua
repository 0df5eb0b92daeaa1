-- expect: undefined global '_VERSION'
return _VERSION.x
