-- expect: out of fuel
local tries = 0
local function try() tries = tries + 1 while true do end end
pcall(try)
pcall(try)
error("went on after the fuel was spent: " .. tries)
