-- expect: read-only
rawset(string, 'format', nil)
