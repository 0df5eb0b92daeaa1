-- expect: ok
for level = 0, 120 do
  local ok, e = pcall(error, 'x', level)
  assert(not ok and not e:find('kernel', 1, true), e)
end
local ok, e = pcall(error, 'x', -1e15)
return 1
