-- expect: cannot be assigned while agents run
function step(self) on.ping = function() end end
