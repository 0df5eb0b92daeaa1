-- expect: 1 MiB
return #(''):rep(1e9, 'xx')
