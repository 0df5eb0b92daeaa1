-- expect: as key cannot be walked
local t = {[{}] = 1}
for k in pairs(t) do end
