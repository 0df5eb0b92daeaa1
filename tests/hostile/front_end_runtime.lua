-- expect: check: __R
local r = __R
function step(self) end
