-- expect: the metatable of shared
local shared = {}
function step(self) setmetatable(shared, {__index = {}}) end
