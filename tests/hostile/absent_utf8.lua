-- expect: undefined global 'utf8'
return utf8.x
