-- expect: ok
local f, state = pairs({a = 1, b = 2})
state.of = string
assert(f(state) == nil)
state.of, state.at, state.n = param, 0, 2
assert(f(state) == nil)
local g, row = pairs({1, 2, 3})
row.of = string
assert(g(row, 0) == nil)
row.of = setmetatable({}, {__index = function() return 1 end})
assert(g(row, 0) == nil)
assert(not pcall(f, nil) and not pcall(f, {}) and not pcall(g, {n = {}}))
return 1
