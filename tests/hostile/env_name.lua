-- expect: check: _ENV
local _ENV = {}
x = 1
function step(self) end
