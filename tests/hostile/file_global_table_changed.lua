-- expect: file-level table 'Shared.x' was changed
Shared = {}
function step(self) local t = Shared t.x = 1 end
