-- expect: out of fuel
while true do pcall(error, {}) end
