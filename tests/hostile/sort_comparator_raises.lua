-- expect: ok
local t = {3, 1, 2}
local ok = pcall(table.sort, t, function() error('x') end)
assert(not ok)
return table.concat(t, ' ')
