-- expect: undefined global 'setfenv'
return setfenv.x
