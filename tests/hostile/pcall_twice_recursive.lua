-- expect: out of fuel
local function f() pcall(f) pcall(f) end
f()
