-- expect: ok
assert(tostring({}) == '<table>' and tostring(error) == '<function>' and ('%s'):format({}) == '<table>') return 1
