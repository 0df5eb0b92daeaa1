-- expect: belongs to the runtime
on = {}
