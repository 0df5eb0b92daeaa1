-- expect: param.rate is read-only
param.rate = 2
