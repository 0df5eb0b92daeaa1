-- expect: file-level table 'order[1]' was changed
local order = {3, 1, 2}
function step(self) table.sort(order) end
