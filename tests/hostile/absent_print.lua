-- expect: undefined global 'print'
return print.x
