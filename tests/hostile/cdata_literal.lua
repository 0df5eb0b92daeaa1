-- expect: check: LL
function step(self) self.x = 1LL end
