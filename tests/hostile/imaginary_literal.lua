-- expect: check: 2i
function step(self) self.x = 2i end
