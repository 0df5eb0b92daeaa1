-- expect: out of fuel
local t = {}
for i = 1, 1000 do t[i] = ('x'):rep(15000) .. i .. ('y'):rep(1000000) end
