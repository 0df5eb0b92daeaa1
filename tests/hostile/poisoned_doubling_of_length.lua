-- expect: ok
local t = {}
local i = 1
while i < math.huge do t[i] = true i = i * 2 end
t[math.huge] = true
return #t
