-- What grids and continuous spaces share: agents in cells, the searches around a place, what scripts may call.
--
-- Every cell has a list of the agents in it, ascending by id (`head[cell]`, then `next_[id]`; 0 ends it), so one
-- order of cells gives one order of neighbours whatever happened before. Cells count from 1; `cell_of[id]` is 0
-- for an agent off the space. The code is generated for one space: its loops then hold no test of what kind of
-- space it is, and the JIT compiles one trace tree for each search.

local D = ...
local concat, sort, gsub = table.concat, table.sort, string.gsub
local load, error, type, pairs, ipairs = load, error, type, pairs, ipairs
local shown = D.sandbox.lib.tostring

local M = {}

-- `text` with every $NAME replaced by values.NAME; what replaces may hold $NAMEs itself.
local function fill(text, values)
  local changed
  repeat
    text, changed = gsub(text, "%$(%u+)", function(key) return values[key] or error("no text for $" .. key) end)
  until changed == 0
  return text
end
M.fill = fill

-- LuaJIT makes a table of the right size at once; elsewhere tables grow.
local new_table = function() return {} end
if D.vm == "luajit" then new_table = require("table.new") end

-- Cells ----------------------------------------------------------------------------------------------------------

-- $COLUMNS declares further arrays by id, $GROW makes them longer; $FILLED and $EMPTIED run when a cell c gets its
-- first agent or loses its last.
local INDEX = [==[
local D, S, new_table, head, cells = ...
local i32, f64, charge = D.buffer.i32, D.buffer.f64, D.sandbox.charge
local floor, abs, min, max, sqrt, huge, type, error = math.floor, math.abs, math.min, math.max, math.sqrt, math.huge, type, error
local bit = D.bit or D.bit32
local band, bnot, bxor, rshift = bit.band, bit.bnot, bit.bxor, bit.rshift
local tobit = bit.tobit
local room, last = 64, 0
local cell_of, next_, found, type_of = i32(room), i32(room), i32(room + 1), i32(room)
$COLUMNS

local function longer(make, array, size)
  local copy = make(size)
  for i = 0, last do copy[i] = array[i] end
  return copy
end

function S.reserve(last_id)
  if last_id > room then
    local size = floor(last_id * 1.5) + 64
    cell_of, next_, found = longer(i32, cell_of, size), longer(i32, next_, size), i32(size + 1)
    $GROW
    room = size
  end
  if last_id > last then last = last_id end
end

function S.reserved() return last end

function S.roster(types) type_of = types end

function S.placed(id) return cell_of[id] ~= 0 end

$COUNTING

local function leave(id, c)
  local before = head[c]
  if before == id then
    local after = next_[id]
    head[c] = after
    if after == 0 then $EMPTIED end
    return
  end
  -- Here and below the first steps stand outside the loop: the JIT does not take a loop into its caller's trace.
  local after = next_[before]
  if after ~= id then
    before = after
    while next_[before] ~= id do before = next_[before] end
  end
  next_[before] = next_[id]
end

local function enter(id, c)
  local before = head[c]
  if before == 0 or before > id then
    next_[id] = before
    head[c] = id
    if before == 0 then $FILLED end
    return
  end
  local after = next_[before]
  if after ~= 0 and after < id then
    before = after
    after = next_[before]
    if after ~= 0 and after < id then
      before = after
      while next_[before] ~= 0 and next_[before] < id do before = next_[before] end
      after = next_[before]
    end
  end
  next_[id] = after
  next_[before] = id
end

function S.take(id)
  local c = cell_of[id]
  if c ~= 0 then
    cell_of[id] = 0
    leave(id, c)
  end
end

-- All lists anew from cell_of: from the highest id down, each goes to the head of its cell's list.
local function relink()
  $RECOUNT
  for c = 0, cells do head[c] = 0 end
  for id = last, 1, -1 do
    local c = cell_of[id]
    if c ~= 0 then
      next_[id] = head[c]
      head[c] = id
    end
  end
end

-- Many moves: one pass over everything, or one by one when they are few beside it.
function S.put_many(ids, $XYZ, n)
  if n * 8 < last + cells / 8 then
    for k = 1, n do S.take(ids[k]) end
    for k = 1, n do S.put(ids[k], $XYZOFK) end
    return
  end
  for k = 1, n do
    local id = ids[k]
    $SETCELL
  end
  relink()
end

-- The ids on the space, ascending, and then where they are, as raw columns.
function S.write(w, last_id)
  local n = 0
  for id = 1, last_id do
    if cell_of[id] ~= 0 then n = n + 1 found[n] = id end
  end
  w:u32(n)
  w:i32s(found, 1, n)
  $WRITE
end

-- Replaces everybody's place by what S.write gave; returns the position after it.
function S.read(bytes, pos)
  local n, at = D.buffer.read_u32(bytes, pos)
  if n * 4 > #bytes then D.buffer.malformed(pos, n .. " agents on a space") end
  local ids = i32(n)
  pos = D.buffer.read_i32s(bytes, at, ids, 1, n)
  if n > 0 then S.reserve(ids[n]) end
  for id = 0, last do cell_of[id] = 0 end
  $READ
  relink()
  return pos
end

local function listed(n)
  local list = new_table(n, 0)
  for k = 1, n do list[k] = found[k] end
  return list
end
]==]

-- Searches -------------------------------------------------------------------------------------------------------

-- Whether an agent counts, as a condition and, for LuaJIT, as an expression that is negative if so: the JIT has no
-- conditional moves, and what lies in a cell is as unpredictable as a coin (a third of the time of a search). $NEAR
-- and $NEARSIGN say that it is near enough and no empty cell. None of these numbers reaches 2^31.
local CONDITIONS = {
  any = "$NEAR and id ~= me",
  typed = "$NEAR and type_of[id] == t and id ~= me",
}
local SIGNS = {
  any = "band($NEARSIGN, 0 - bxor(id, me))",
  typed = "band($NEARSIGN, 0 - bxor(id, me), bxor(type_of[id], t) - 1)",
}

local FOUND, COUNTED = "if $TEST then n = n + 1 found[n] = id end", "if $TEST then n = n + 1 end"
if D.vm == "luajit" then
  FOUND, COUNTED = "found[n + 1] = id n = n + rshift($SIGN, 31)", "n = n + rshift($SIGN, 31)"
end
local NEARER = "if $TEST then local d = $DISTANCE if d < best then best, who = d, id end end"

local SEARCHES = [==[
local function find_$NAME(x, y, z, r, me, t)
  local n = 0
  $FINDING
  return listed(n)
end

local function count_$NAME(x, y, z, r, me, t)
  local n = 0
  $COUNTINGALL
  return n
end

local function count_$NAMEwith(x, y, z, r, me, t, values, value)
  local n, alike = 0, 0
  $FINDING
  for k = 1, n do
    if values[found[k]] == value then alike = alike + 1 end
  end
  return alike
end

local function nearest_$NAME(x, y, z, r, me, t)
  local best, who = huge, nil
  $SEEKING
  return who
end
]==]

-- t 0 is any type. The nearest is sought in circles that double: what is found in one is nearer than all outside.
local DISPATCH = [==[
function S.find(x, y, z, r, me, t)
  if t == 0 then return find_any(x, y, z, r, me, t) end
  return find_typed(x, y, z, r, me, t)
end

function S.count(x, y, z, r, me, t, values, value)
  if values == nil then
    if t == 0 then return count_any(x, y, z, r, me, t) end
    return count_typed(x, y, z, r, me, t)
  end
  if t == 0 then return count_anywith(x, y, z, r, me, t, values, value) end
  return count_typedwith(x, y, z, r, me, t, values, value)
end

function S.nearest(x, y, z, r, me, t)
  local circle = $FIRSTCIRCLE
  while circle < r and circle <= $LASTCIRCLE do
    local who
    if t == 0 then who = nearest_any(x, y, z, circle, me, t) else who = nearest_typed(x, y, z, circle, me, t) end
    if who then return who end
    circle = circle * 2
  end
  if t == 0 then return nearest_any(x, y, z, r, me, t) end
  return nearest_typed(x, y, z, r, me, t)
end
]==]

-- The searches of one space. parts.SCAN is code that walks the cells in order and runs $EACH for every id there; parts.SEEK is
-- the same for the search of the nearest.
local function searches(parts)
  local out = {}
  for _, name in ipairs({ "any", "typed" }) do
    local function scan(text, each)
      each = (parts.MEASURE or "") .. " " .. each
      local values = { EACH = each, TEST = CONDITIONS[name], SIGN = SIGNS[name] }
      for key, part in pairs(parts) do values[key] = part end
      return fill(text, values)
    end
    out[#out + 1] = fill(gsub(SEARCHES, "%$NAME", name), {
      FINDING = scan(parts.SCAN, FOUND),
      COUNTINGALL = scan(parts.SCAN, COUNTED),
      SEEKING = scan(parts.SEEK, NEARER),
    })
  end
  out[#out + 1] = fill(DISPATCH, parts)
  return concat(out, "\n")
end

-- The space S with the functions that the code defines; `own` is the code of this kind of space, between the cells
-- and the searches.
function M.build(S, name, parts, own, head, cells)
  local text = fill(INDEX, parts) .. fill(own, parts) .. searches(parts)
  local chunk, why = load(text, "@kernel/" .. name .. ".lua, generated", "t")
  if not chunk then error(why .. "\n" .. text, 0) end
  chunk(D, S, new_table, head, cells)
  return S
end

-- What scripts call ----------------------------------------------------------------------------------------------

local function deny(message) error(message, 0) end

local function text(v)
  local kind = type(v)
  if kind == "string" then return '"' .. v .. '"' end
  if kind == "number" or kind == "nil" then return shown(v) end
  return "a " .. kind
end

-- "x is 50, outside 0..49", for a coordinate that is a number; `range` says what is allowed.
function M.misfit(name, value, range)
  if type(value) ~= "number" then return name .. " is a number, not " .. text(value) end
  return name .. " is " .. shown(value) .. ", and this space has " .. range
end

-- The functions of every space. world: see main.lua.
function M.api(S, world)
  local crumb, flat = world.crumb, S.dims == 2
  local get, fit, find, count, nearest = S.get, S.fit, S.find, S.count, S.nearest
  local move_to = flat and "move_to(x, y)" or "move_to(x, y, z)"
  local api = {}

  local function off(id)
    if id == 0 then deny("the environment stands nowhere: name a place or an agent") end
    if id == crumb[0] then deny("agent " .. id .. " is not on the space: " .. move_to .. " first") end
    deny("agent " .. id .. " is not on the space; position(" .. id .. ") is nil then")
  end

  local function check_radius(r)
    if type(r) ~= "number" or not (r >= 0) then deny("r is a radius, 0 or more, not " .. text(r)) end
  end

  local function type_of_name(name)
    local t = world.type_index[name]
    if t then return t end
    local names = {}
    for each in pairs(world.type_index) do names[#names + 1] = each end
    sort(names)
    deny("there is no agent type " .. text(name) .. "; types: " .. concat(names, ", "))
  end

  local function check_id(id)
    local last = S.reserved()
    if type(id) ~= "number" or not (id >= 1 and id <= last) or id % 1 ~= 0 then
      deny("no agent has the id " .. text(id) .. ": ids are whole numbers from 1 to " .. world.roster.last_id .. " so far")
    end
  end

  local function values_of(field)
    local values = world.published[field]
    if values then return values end
    deny("nobody publishes " .. text(field) .. ": list it in model.toml, [agents.TYPE] publish = [...]")
  end

  function api.position(id)
    if id == nil then
      id = crumb[0]
      if id == 0 then off(0) end
    else
      check_id(id)
    end
    return get(id)
  end

  -- The caller's place and that of agent `id`.
  local function both(id)
    local me = crumb[0]
    check_id(id)
    local x, y, z = get(me)
    if x == nil then off(me) end
    local x2, y2, z2 = get(id)
    if x2 == nil then off(id) end
    return x, y, z, x2, y2, z2
  end

  function api.distance(id) return (S.distance(both(id))) end

  function api.offset(id) return S.offset(both(id)) end

  function api.neighbors(r, name)
    local me, t = crumb[0], 0
    check_radius(r)
    if name ~= nil then t = type_of_name(name) end
    local x, y, z = get(me)
    if x == nil then off(me) end
    return find(x, y, z, r, me, t)
  end

  function api.count_near(r, name, field, value)
    local me, t, values = crumb[0], 0, nil
    check_radius(r)
    if name ~= nil then t = type_of_name(name) end
    if field ~= nil then
      values = values_of(field)
      if value == nil then deny("count_near(r, type, field, value): value is missing (nil)") end
    end
    local x, y, z = get(me)
    if x == nil then off(me) end
    return count(x, y, z, r, me, t, values, value)
  end

  function api.nearest(name, r)
    local me, t = crumb[0], 0
    check_radius(r)
    if name ~= nil then t = type_of_name(name) end
    local x, y, z = get(me)
    if x == nil then off(me) end
    return nearest(x, y, z, r, me, t)
  end

  if flat then
    function api.neighbors_of(x, y, r, name)
      local t = 0
      x, y = fit(x, y)
      if x == nil then deny(y) end
      check_radius(r)
      if name ~= nil then t = type_of_name(name) end
      return find(x, y, nil, r, 0, t)
    end
  else
    function api.neighbors_of(x, y, z, r, name)
      local t = 0
      x, y, z = fit(x, y, z)
      if x == nil then deny(y) end
      check_radius(r)
      if name ~= nil then t = type_of_name(name) end
      return find(x, y, z, r, 0, t)
    end
  end

  if S.at then
    function api.at(x, y, name)
      local t = 0
      x, y = fit(x, y)
      if x == nil then deny(y) end
      if name ~= nil then t = type_of_name(name) end
      return S.at(x, y, t)
    end

    function api.count_at(x, y, name)
      local t = 0
      x, y = fit(x, y)
      if x == nil then deny(y) end
      if name ~= nil then t = type_of_name(name) end
      return S.count_at(x, y, t)
    end

    function api.empty_cells(k)
      local n = S.empty_count()
      if k == nil then return n end
      if type(k) ~= "number" or not (k >= 1 and k <= n) or k % 1 ~= 0 then
        deny("empty_cells(k): k is a whole number from 1 to the number of empty cells, now " .. n .. ", not " .. text(k))
      end
      return S.kth_empty(k)
    end

    function api.random_empty()
      local n = S.empty_count()
      if n == 0 then return nil end
      return S.kth_empty(world.rng.random(n))
    end
  end

  api.space = D.sandbox.readonly({ width = S.width, height = S.height, depth = S.depth }, "space",
    "its size is set in model.toml")
  return api
end

return M
