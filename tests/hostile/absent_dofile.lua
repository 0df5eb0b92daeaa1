-- expect: undefined global 'dofile'
return dofile.x
