-- expect: out of fuel
local s = ('%s'):rep(200)
while true do pcall(string.format, s) end
