-- expect: out of fuel
local t = {}
for i = 1, 1000 do t[i] = i end
pcall(table.sort, t, function() while true do end end)
return 'went on'
