-- expect: out of fuel
local f, row = pairs({1, 2, 3})
row.n = 1e15
return f(row, 3)
