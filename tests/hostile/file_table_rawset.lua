-- expect: file-level table 'seen.x' was changed
local seen = {}
function step(self) rawset(seen, 'x', 1) end
