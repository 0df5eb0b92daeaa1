-- expect: read-only
rawset(param, 'rate', 2)
