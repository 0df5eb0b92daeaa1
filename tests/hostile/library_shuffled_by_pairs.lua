-- expect: ok
local names = {}
for k in pairs(string) do names[#names + 1] = k end
local f, state, key = pairs(string)
assert(state == nil and key == nil)
return table.concat(names, ' ')
