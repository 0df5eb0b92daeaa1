-- expect: ok
return #(''):rep(1e15)
