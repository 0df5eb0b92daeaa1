-- expect: out of fuel
local m = {__lt = function() while true do end end}
pcall(table.sort, {setmetatable({}, m), setmetatable({}, m)})
return 'went on'
