-- expect: ok
local t = {}
for i = 1, 100 do t[i] = (i * 37) % 101 end
table.sort(t, function() return true end)
return table.concat(t, ' ')
