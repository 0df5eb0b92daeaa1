-- expect: undefined global 'ffi'
return ffi.x
