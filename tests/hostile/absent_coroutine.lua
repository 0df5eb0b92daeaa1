-- expect: undefined global 'coroutine'
return coroutine.x
