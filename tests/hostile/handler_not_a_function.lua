-- expect: must be a function
on.ping = 5
