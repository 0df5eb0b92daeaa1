-- expect: undefined global 'os'
return os.x
