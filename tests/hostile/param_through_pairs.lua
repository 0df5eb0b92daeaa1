-- expect: ok
local f, state = pairs(param)
assert(state == nil)
return param.rate
