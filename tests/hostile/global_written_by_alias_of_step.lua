-- expect: cannot assign the global
function step(self) counter = 1 end
