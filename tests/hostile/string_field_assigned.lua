-- expect: a string cannot be changed
local s = 'x'
s.y = 1
