-- expect: undefined global 'bit32'
return bit32.x
