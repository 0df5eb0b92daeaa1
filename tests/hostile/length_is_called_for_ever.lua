-- expect: out of fuel
local t = {1, 2, 3}
while true do local n = #t end
