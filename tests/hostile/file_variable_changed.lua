-- expect: file-level variable 'count' was changed from 0 to 1
local count = 0
local function bump() count = count + 1 end
function step(self) bump() end
