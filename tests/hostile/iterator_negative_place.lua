-- expect: out of fuel
local f, row = pairs({1, 2, 3})
return f(row, -1e15)
