-- expect: out of fuel
local function f() return f() end
f()
