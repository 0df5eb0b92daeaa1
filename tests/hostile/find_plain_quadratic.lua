-- expect: out of fuel
local s, p = ('a'):rep(1000000), ('a'):rep(500000) .. 'b'
for i = 1, 1000 do string.find(s, p, 1, true) end
