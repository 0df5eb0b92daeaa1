-- expect: out of fuel
local set = '[' .. ('x'):rep(1000000) .. ']'
return string.find(('a'):rep(100000), set .. '*b')
