-- expect: out of fuel
pcall(tostring, setmetatable({}, {__tostring = function() while true do end end}))
return 'went on'
