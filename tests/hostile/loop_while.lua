-- expect: out of fuel
while true do end
