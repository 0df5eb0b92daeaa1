-- expect: file-level table 'seen.x'
local seen = {}
function step(self) rawset(seen, 'x', 1) end
