-- expect: check: counter
function step(self) counter = 1 end
