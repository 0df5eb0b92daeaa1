-- expect: ok
local ok, e = pcall(error, setmetatable({}, {__tostring = error}))
assert(not ok and type(e) == 'table') return 1
