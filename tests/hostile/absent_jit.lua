-- expect: undefined global 'jit'
return jit.x
