-- expect: out of fuel
return #setmetatable({}, {__len = function() while true do end end})
