-- expect: file-level table 'Shared.x'
Shared = {}
function step(self) local t = Shared t.x = 1 end
