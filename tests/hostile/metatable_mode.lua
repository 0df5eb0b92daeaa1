-- expect: may not have '__mode'
setmetatable({}, {__mode = 'k'})
