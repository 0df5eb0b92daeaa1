-- expect: out of fuel
local function f(...) while true do local a = select(2, ...) end end
f(table.unpack({}, 1, 250))
