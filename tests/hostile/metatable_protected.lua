-- expect: may not have '__metatable'
setmetatable({}, {__metatable = 1})
