-- expect: out of fuel
while true do math.random() end
