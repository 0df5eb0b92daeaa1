-- expect: ok
local calls = {
  function() return #nil end, function() return nil .. 'x' end, function() return 1 & 1.5 end, function() return {} // 1 end,
  function() return ('x'):rep(1e10) end, function() return table.concat({{}}) end, function() table.insert({}, 5, 1) end,
  function() table.sort({1, 'x'}) end, function() for _ in pairs(nil) do end end, function() return next({[{}] = 1}) end,
  function() local r = math.floor({}) return r end, function() return tonumber('1', 99) end, function() return select(0) end,
  function() return setmetatable(1, {}) end, function() return string.format('%d', 1.5) end, function() return ipairs() end,
}
for i, f in ipairs(calls) do
  local ok, e = pcall(f)
  assert(not ok and e:find('^agents/agent.lua:'), i .. tostring(e))
end
return #calls
