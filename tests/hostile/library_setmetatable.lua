-- expect: read-only
setmetatable(string, {})
