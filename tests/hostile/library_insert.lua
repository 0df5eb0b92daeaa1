-- expect: read-only
table.insert(math, 1)
