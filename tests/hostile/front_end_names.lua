-- expect: check: __Q
function step(self) __Q.n = 1e15 end
