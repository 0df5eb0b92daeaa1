-- expect: out of fuel
local s = ('x'):rep(1000000)
while true do local r = s:sub(2) end
