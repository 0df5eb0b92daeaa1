-- expect: ok
local m = {__index = {}}
local t = setmetatable({}, m)
m.__mode = 'v'
m.__gc = function() while true do end end
for i = 1, 1000 do t[i] = {i} end
for i = 1, 20000 do local garbage = {i} end
local n = 0
for i = 1, 1000 do if t[i] then n = n + 1 end end
assert(n == 1000)
return n
