-- expect: out of fuel
local s = 'x'
while true do s = s .. 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy' if #s > 1000000 then s = 'x' end end
