-- expect: param.rate is read-only
local k = next(param)
param[k] = 2
