-- expect: was changed
local methods = {}
local shared = setmetatable({}, {__index = methods})
function step(self) methods.x = 1 end
