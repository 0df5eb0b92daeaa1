-- expect: file-level table 'seen[1]'
local seen = {}
function step(self) table.insert(seen, self.id) end
