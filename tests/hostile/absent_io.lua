-- expect: undefined global 'io'
return io.x
