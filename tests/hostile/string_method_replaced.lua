-- expect: read-only
local s = 'x'
local lib = string
lib.upper = nil
