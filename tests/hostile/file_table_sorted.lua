-- expect: file-level table 'order[1]'
local order = {3, 1, 2}
function step(self) table.sort(order) end
