-- expect: ok
local f, state = pairs(param)
for k, v in pairs(state) do if type(v) == 'table' then assert(not pcall(function() v.rate = 2 end)) end end
return param.rate
