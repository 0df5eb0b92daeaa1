-- expect: ok
local names = {}
for k in pairs(string) do names[#names + 1] = k end
local f, state = pairs(string)
assert(state.of == string)
assert(not pcall(function() state.of.rep = nil end))
return table.concat(names, ' ')
