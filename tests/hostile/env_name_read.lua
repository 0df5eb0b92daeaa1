-- expect: check: _ENV
function step(self) _ENV.x = 1 end
