-- expect: defined twice
function on.ping() end
function on.ping() end
