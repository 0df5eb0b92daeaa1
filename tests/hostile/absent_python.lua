-- expect: undefined global 'python'
return python.x
