-- expect: out of fuel
local t = {}
for i = 1, 1e9 do t['k' .. i] = i for k in pairs(t) do end end
