-- expect: out of fuel
for i = 1, 1e15 do end
