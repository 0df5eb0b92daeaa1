-- expect: may not have '__gc'
setmetatable({}, {__gc = function() end})
