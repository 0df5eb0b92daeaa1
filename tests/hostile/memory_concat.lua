-- expect: 1 MiB
local t, s = {}, ('x'):rep(1000000)
for i = 1, 5000 do t[i] = s end
return #table.concat(t)
