-- expect: may not have '__count'
return #setmetatable({}, {__count = 1e9})
