-- expect: file-level variable 'count'
local count = 0
local function bump() count = count + 1 end
function step(self) bump() end
