-- expect: undefined global 'bit'
return bit.x
