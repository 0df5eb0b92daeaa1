-- expect: file-level table 'seen[1]' was changed
local seen = {}
function step(self) table.insert(seen, self.id) end
