-- expect: file-level table 'alias.n'
local seen = {n = 0}
local alias = seen
function step(self) local t = alias t.n = 1 end
