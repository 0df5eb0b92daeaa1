-- What grids and continuous spaces share: agents in cells, and the searches around a place.
--
-- Every cell has a list of the agents in it, ascending by id: `link[c]` is the first, `link[BASE + id]` the one after
-- agent `id`, and 0 ends it. So one order of cells gives one order of neighbours whatever happened before. Cells count
-- from 1; `cell_of[id]` is 0 for an agent off the space. The code is generated for one space: its loops then hold no
-- test of what kind of space it is, and the JIT compiles one trace tree for each search.

local D = ...
local floor = math.floor
local concat, format, gsub, rep = table.concat, string.format, string.gsub, string.rep
local load, error, pairs, ipairs = load, error, pairs, ipairs

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

-- Along a list: on LuaJIT the first steps are taken without branches, or every turn that moves would be compiled
-- once more for each way in which two lists can be met.
local ON = "other ~= 0 and other < id"
local STEP = "do local other = link[node] if " .. ON .. " then node = BASE + other end end "
if D.vm == "luajit" then
  STEP = "do local other = link[node] "
    .. "node = node + band(BASE + other - node, arshift(band(0 - other, other - id), 31)) end "
  ON = "band(0 - other, other - id) < 0"
end
local LEAVE = "link[before(id, c)] = link[BASE + id] if $COUNTED and link[c] == 0 then $EMPTIED end"
local ENTER = "local node = before(id, c) link[BASE + id] = link[node] link[node] = id "
  .. "if $COUNTED and node == c and link[BASE + id] == 0 then $FILLED end"
local LEAVE_SINGLE = "link[c] = 0 if $COUNTED then $EMPTIED end"
local ENTER_SINGLE = "link[c] = id if $COUNTED then $FILLED end"

-- $COLUMNS declares further arrays by id, $GROW makes them longer; $FILLED and $EMPTIED run when a cell c gets its
-- first agent or loses its last, if $COUNTED. parts.LONG is how many steps are taken without branches.
local INDEX = [==[
local D, S, new_table, cells = ...
local i32, f64, charge = D.buffer.i32, D.buffer.f64, D.sandbox.charge
local floor, abs, min, max, sqrt, huge = math.floor, math.abs, math.min, math.max, math.sqrt, math.huge
local type, error = type, error
local bit = D.bit or D.bit32
local band, bnot, bxor, rshift = bit.band, bit.bnot, bit.bxor, bit.rshift
local arshift, tobit = bit.arshift, bit.tobit
local room, last = $ROOM, 0
local BASE = cells + 1
local cell_of, link, found, type_of = i32(room), i32(BASE + room), i32(room + 1), i32(room)
$COLUMNS

-- Scratch of a search: the first agents of the cells that it met.
local heads = i32($HEADS + 1)

local function longer(make, array, used, size)
  local copy = make(size)
  for i = 0, used do copy[i] = array[i] end
  return copy
end

function S.reserve(last_id)
  if last_id > room then
    local size = floor(last_id * 1.5) + 64
    cell_of, link, found = longer(i32, cell_of, last, size), longer(i32, link, BASE + last, BASE + size), i32(size + 1)
    $GROW
    room = size
  end
  if last_id > last then last = last_id end
end

function S.reserved() return last end

function S.roster(types) type_of = types end

function S.placed(id) return cell_of[id] ~= 0 end

$COUNTING

-- The last node before agent id's place in the list of cell c.
local function before(id, c)
  local node = c
  $STEPS
  local other = link[node]
  while $ON do
    node = BASE + other
    other = link[node]
  end
  return node
end

local function leave(id, c)
  $LEAVE
end

local function enter(id, c)
  $ENTER
end

-- Cell c is where agent id is from now on.
local function settle(id, c)
  local old = cell_of[id]
  if c == old then return end
  $GUARD
  cell_of[id] = c
  if old ~= 0 then leave(id, old) end
  enter(id, c)
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
  for c = 0, cells do link[c] = 0 end
  for id = last, 1, -1 do
    local c = cell_of[id]
    if c ~= 0 then
      link[BASE + id] = link[c]
      link[c] = id
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

-- Whether an agent counts, as a condition and, for LuaJIT, as what is negative if so: the JIT makes a branch of every
-- condition, and what stands in a cell is as unpredictable as a coin. $NEAR and $NEARSIGN say that somebody is there
-- and near enough. No number here reaches 2^31, and no 0 is negated: that would be -0, and so a branch again.
local TESTS = {
  any = { "$NEAR and id ~= me", "$NEARSIGN, 0 - bxor(id, me)" },
  typed = { "$NEAR and type_of[id] == t and id ~= me", "$NEARSIGN, 0 - bxor(id, me), bxor(type_of[id], t) - 1" },
}
local CODED = { " and codes[id] == code", ", bxor(codes[id], code) - 1" }

local FIND = "if $TEST then n = n + 1 found[n] = id end"
local COUNT = "if $TEST then n = n + 1 end"
local NEAREST = "if $TEST then local d = $DISTANCE if d < best then best, who = d, id end end"
if D.vm == "luajit" then
  FIND = "found[n + 1] = id n = n + rshift(band($SIGNS), 31)"
  COUNT = "n = n + rshift(band($SIGNS), 31)"
end

-- Where cells hold many, a search first gathers the heads of their lists, then walks the lists. LuaJIT does both
-- without branches: `ended` is 1 where a list ends, and the next begins with the next head.
local GATHER = "if id ~= 0 then met = met + 1 heads[met] = id end"
local WALK = [==[
for k = 1, met do
  local id = heads[k]
  repeat
    seen = seen + 1
    $EACH
    id = link[BASE + id]
  until id == 0
end
met = 0
]==]
local FLOW = WALK
if D.vm == "luajit" then
  GATHER = "heads[met + 1] = id met = met + rshift(0 - id, 31)"
  FLOW = [==[
if met > 0 then
  local id, k = heads[1], 1
  repeat
    seen = seen + 1
    $EACH
    local after = link[BASE + id]
    local ended = rshift(after - 1, 31)
    id = after + band(heads[k + 1], 0 - ended)
    k = k + ended
  until k > met
  met = 0
end
]==]
end

local SEARCHES = [==[
local function find_$NAME(x, y, z, r, me, t)
  local n = 0
  $FIND
  return listed(n)
end

local function count_$NAME(x, y, z, r, me, t)
  local n = 0
  $COUNT
  return n
end

local function count_coded_$NAME(x, y, z, r, me, t, codes, code)
  local n = 0
  $CODED
  return n
end

local function count_compared_$NAME(x, y, z, r, me, t, values, value)
  local n, alike = 0, 0
  $FIND
  for k = 1, n do
    if values[found[k]] == value then alike = alike + 1 end
  end
  return alike
end

local function nearest_$NAME(x, y, z, r, me, t)
  local best, who = huge, nil
  $NEAREST
  return who
end
]==]

-- The functions of a space: around (x, y, z), not agent `me`, of type t unless that is 0. The nearest is sought in
-- circles that double: what is found in one is nearer than all outside.
local DISPATCH = [==[
function S.find(x, y, z, r, me, t)
  if t == 0 then return find_any(x, y, z, r, me, t) end
  return find_typed(x, y, z, r, me, t)
end

function S.count(x, y, z, r, me, t)
  if t == 0 then return count_any(x, y, z, r, me, t) end
  return count_typed(x, y, z, r, me, t)
end

-- Those whose value in a table by id is `value`, not nil.
function S.count_compared(x, y, z, r, me, t, values, value)
  if t == 0 then return count_compared_any(x, y, z, r, me, t, values, value) end
  return count_compared_typed(x, y, z, r, me, t, values, value)
end

-- Those whose code in an i32 array by id is `code`, at least 1; codes[0] is 0.
function S.count_coded(x, y, z, r, me, t, codes, code)
  if t == 0 then return count_coded_any(x, y, z, r, me, t, codes, code) end
  return count_coded_typed(x, y, z, r, me, t, codes, code)
end

local function nearest(x, y, z, r, me, t)
  if t == 0 then return nearest_any(x, y, z, r, me, t) end
  return nearest_typed(x, y, z, r, me, t)
end

function S.nearest(x, y, z, r, me, t)
  local circle = $FIRSTCIRCLE
  while circle < r and circle <= $LASTCIRCLE do
    local who = nearest(x, y, z, circle, me, t)
    if who then return who end
    circle = circle * 2
  end
  return nearest(x, y, z, r, me, t)
end
]==]

-- The searches of one space. parts.SCAN is code that comes by the cells in order; it runs $MEET with the first agent
-- of each, or 0, as `id`, and $DONE when it has met at most parts.HEADS cells, and at the end. parts.SEEK is the same
-- for the nearest. parts.HEADS is "0" where cells hold one agent. parts.MEASURE stands before each test.
local function searches(parts)
  local out = {}
  for _, name in ipairs({ "any", "typed" }) do
    local function scan(text, walk, each, more)
      local values = {
        EACH = parts.MEASURE .. each,
        TEST = TESTS[name][1] .. more[1], SIGNS = TESTS[name][2] .. more[2],
        MEET = parts.HEADS == "0" and "$EACH" or GATHER,
        DONE = parts.HEADS == "0" and "" or walk,
      }
      for key, part in pairs(parts) do values[key] = part end
      return "local seen, met = 0, 0\n" .. fill(text, values) .. "charge(seen / 8)"
    end
    local none = { "", "" }
    out[#out + 1] = fill(SEARCHES, {
      NAME = name,
      FIND = scan(parts.SCAN, FLOW, FIND, none),
      COUNT = scan(parts.SCAN, FLOW, COUNT, none),
      CODED = scan(parts.SCAN, FLOW, COUNT, CODED),
      NEAREST = scan(parts.SEEK, WALK, NEAREST, none),
    })
  end
  out[#out + 1] = fill(DISPATCH, parts)
  return concat(out, "\n")
end

-- The space S with the functions that the code defines; `own` is the code of this kind of space, between the cells
-- and the searches. `agents` are expected, or nil: what is made for more is a copy of all.
function M.build(S, name, parts, own, cells, agents)
  parts.ROOM = format("%d", floor((agents or 0) * 1.25) + 64)
  parts.STEPS = rep(STEP, parts.LONG)
  parts.ON = ON
  parts.LEAVE, parts.ENTER = LEAVE, ENTER
  if parts.HEADS == "0" then parts.LEAVE, parts.ENTER = LEAVE_SINGLE, ENTER_SINGLE end
  local text = fill(INDEX, parts) .. fill(own, parts) .. searches(parts)
  local chunk, why = load(text, "@kernel/" .. name .. ".lua, generated", "t")
  if not chunk then error(why .. "\n" .. text, 0) end
  chunk(D, S, new_table, cells)
  return S
end

return M
