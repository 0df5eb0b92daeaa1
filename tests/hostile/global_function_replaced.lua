-- expect: cannot assign the global
function step(self) step = nil end
