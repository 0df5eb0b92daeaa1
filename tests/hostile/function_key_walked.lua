-- expect: as key cannot be walked
local t = {[error] = 1}
return next(t)
