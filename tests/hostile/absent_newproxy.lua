-- expect: undefined global 'newproxy'
return newproxy.x
