-- expect: file-level variable 'n'
local function counter() local n = 0 return function() n = n + 1 return n end end
local count = counter()
function step(self) return count() end
