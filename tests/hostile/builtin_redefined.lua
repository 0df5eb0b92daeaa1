-- expect: belongs to the runtime
function pairs() end
