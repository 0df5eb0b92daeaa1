-- The table library of agents. Lengths are those of `#`, defined by content; work that grows with a
-- table is charged; read-only tables refuse writes through their own `__newindex`.

local deps = ...
local meter, values, order = deps.meter, deps.values, deps.order
local fail, charge = meter.fail, meter.charge
local length, as_whole, as_table = values.length, values.as_whole, values.as_table
local text, describe, reserve, MAX_VALUES = values.text, values.describe, values.reserve, values.MAX_VALUES
local select, type, concat, unpack = select, type, table.concat, unpack or table.unpack

local M = {sort = order.sort}


-- How many arguments there were decides what they mean, so this takes `...`; LuaJIT then does not carry
-- a trace from the loop in `length` back into the caller's (100 ns in place of 20). What the front end
-- knows to be an append calls `rt.I`.
function M.insert(t, ...)
  local given = select("#", ...)
  if type(t) ~= "table" then as_table(t, 1, "insert") end
  local n = length(t)
  if given == 1 then
    local v = ...
    t[n + 1] = v
    return
  end
  if given ~= 2 then fail("wrong number of arguments to 'insert': table.insert(t, value) or table.insert(t, place, value)") end
  local place, v = ...
  place = as_whole(place, 2, "insert")
  if place < 1 or place > n + 1 then
    fail("bad argument #2 to 'insert' (position " .. text(place) .. " out of bounds: the list has " .. text(n) .. " elements)")
  end
  charge((n - place) / 8 + 1)
  for i = n, place, -1 do t[i + 1] = t[i] end
  t[place] = v
end


function M.remove(t, place)
  as_table(t, 1, "remove")
  local n = length(t)
  if place == nil then
    if n == 0 then return nil end
    local v = t[n]
    t[n] = nil
    return v
  end
  place = as_whole(place, 2, "remove")
  if n == 0 and (place == 0 or place == 1) or place == n + 1 then
    local v = t[place]
    t[place] = nil
    return v
  end
  if place < 1 or place > n + 1 then
    fail("bad argument #2 to 'remove' (position " .. text(place) .. " out of bounds: the list has " .. text(n) .. " elements)")
  end
  charge((n - place) / 8 + 1)
  local v = t[place]
  for i = place, n - 1 do t[i] = t[i + 1] end
  t[n] = nil
  return v
end


function M.concat(t, separator, from, to)
  as_table(t, 1, "concat")
  separator = separator == nil and "" or values.as_string(separator, 2, "concat")
  from = as_whole(from, 3, "concat", 1)
  if to == nil then to = length(t) else to = as_whole(to, 4, "concat") end
  if to < from then return "" end
  charge((to - from + 1) / 4)
  local out, size = {}, (to - from) * #separator
  for i = from, to do
    local v = t[i]
    if type(v) == "number" then
      v = text(v)
    elseif type(v) ~= "string" then
      fail("invalid value (" .. describe(v) .. ") at index " .. text(i) .. " in table for 'concat'")
    end
    out[i - from + 1] = v
    size = size + #v
  end
  reserve(size, "concat")
  return (concat(out, separator))
end


-- Agents' tables may have `__index`, so values are fetched as an agent would.
function M.unpack(t, from, to)
  as_table(t, 1, "unpack")
  from = as_whole(from, 2, "unpack", 1)
  if to == nil then to = length(t) else to = as_whole(to, 3, "unpack") end
  local n = to - from + 1
  if n < 1 then return end
  if n > MAX_VALUES then
    fail("unpack gives at most " .. MAX_VALUES .. " values, not " .. text(n) .. "; use a loop")
  end
  charge(n / 16)
  local content = order.behind(t)
  if content ~= t then
    local seen = {}
    for i = from, to do seen[i - from + 1] = t[i] end
    return unpack(seen, 1, n)
  end
  return unpack(content, from, to)
end


function M.pack(...)
  local n = select("#", ...)
  charge(n / 16)
  local t = {...}
  t.n = n
  return t
end

return M
