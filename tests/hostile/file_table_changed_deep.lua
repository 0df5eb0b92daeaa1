-- expect: file-level table 'config.a.b'
local config = {a = {b = 1}}
function step(self) local t = config.a t.b = 2 end
