-- Grids: square cells with 8 or 4 neighbours, or hexagons in rows of which the odd ones stand half a cell to the
-- right; a torus or bounded; one agent a cell or many.
--
-- Cells lie row by row. A bounded grid has one column and one row more, where nobody ever is: what lies outside is
-- looked up there, so that searches need no test for the border. Neighbours come by rows from the lowest offset of
-- y, in a row from the lowest offset of x, in a cell by id. A distance is the least number of steps between
-- neighbouring cells; where a radius reaches around a torus, everyone counts once, at the shortest offset.

local D = ...
local pairs = pairs
local abs, max = math.abs, math.max
local concat, format, rep = table.concat, string.format, string.rep

-- Whole numbers as they stand in code.
local function show(n) return format("%d", n) end

local M = {}

local MARGIN = 16

-- Counts of empty cells in blocks of 8, and a binary tree of sums over them: tree[LEAVES + b] is block b, tree[1]
-- the whole. Built when first asked for, then kept.
local COUNTING = [==[
local LEAVES = $LEAVES
local tree, counted = nil, false

local function shift_empty(c, by)
  local i = LEAVES + rshift(c - 1, 3)
  tree[i] = tree[i] + by
  $CLIMB
end

local function count_empty()
  if tree == nil then tree = i32(2 * LEAVES) end
  for i = 0, 2 * LEAVES do tree[i] = 0 end
  for y = 0, $HEIGHT - 1 do
    for c = y * $PITCH + 1, y * $PITCH + $WIDTH do
      if link[c] == 0 then
        local i = LEAVES + rshift(c - 1, 3)
        tree[i] = tree[i] + 1
      end
    end
  end
  for i = LEAVES - 1, 1, -1 do tree[i] = tree[2 * i] + tree[2 * i + 1] end
  counted = true
end

function S.empty_count()
  if not counted then count_empty() end
  return tree[1]
end

-- The k-th empty cell in row order, 1 <= k <= S.empty_count().
function S.kth_empty(k)
  if not counted then count_empty() end
  local i = 1
  $DESCEND
  local c = (i - LEAVES) * 8
  local x = c % $PITCH
  $PASS
  return x - 1, (c - x) / $PITCH
end
]==]

-- One level down the tree to where the k-th empty cell is, and from cell to cell of a block until k is 0. Beside every
-- row of a bounded grid lies a place that is none. LuaJIT does it without branches, as all ways are as likely.
local DOWN = "i = i * 2 if k > tree[i] then k = k - tree[i] i = i + 1 end "
local PASS = [==[
repeat
  if x == $WIDTH then c, x = c + $BESIDE, 0 end
  if link[c + 1] == 0 then k = k - 1 end
  c, x = c + 1, x + 1
until k == 0
]==]
if D.vm == "luajit" then
  DOWN = "i = i * 2 do local left = tree[i] local right = rshift(left - k, 31) "
    .. "k = k - band(left, 0 - right) i = i + right end "
  PASS = rep([==[
do
  local on = rshift(0 - k, 31)
  local over = band(on, rshift(bxor(x, $WIDTH) - 1, 31))
  c, x = c + over * $BESIDE, x - over * $WIDTH
  k = k - band(on, rshift(link[c + 1] - 1, 31))
  c, x = c + on, x + on
end
]==], 8)
end

-- Along a list to somebody of type t; LuaJIT takes the first steps without branches, as in cells.lua.
local OTHER_TYPE = "id ~= 0 and type_of[id] ~= t"
local NEXT_OF_TYPE = "if " .. OTHER_TYPE .. " then id = link[BASE + id] end "
if D.vm == "luajit" then
  OTHER_TYPE = "band(0 - id, 0 - bxor(type_of[id], t)) < 0"
  NEXT_OF_TYPE = "id = id + band(link[BASE + id] - id, arshift(band(0 - id, 0 - bxor(type_of[id], t)), 31)) "
end

local PLACES = [==[
local W, H, PITCH = S.width, S.height, $PITCH

function S.get(id)
  local c = cell_of[id] - 1
  if c < 0 then return nil end
  local y = floor(c / PITCH)
  return c - y * PITCH, y
end

local function wrap(v, size)
  v = v - floor(v / size) * size
  if v < 0 then return v + size end
  if v >= size then return v - size end
  return v
end

local function misfit(name, v, size)
  if type(v) == "number" and floor(v) == v and v >= 0 and v < size then return nil end
  return D.space.misfit(name, v, $RANGE)
end

-- The place (x, y) as it is kept; or nil and what is wrong with it.
function S.fit(x, y, z)
  if z == nil and type(x) == "number" and type(y) == "number" and floor(x) == x and floor(y) == y then
    if x >= 0 and x < W and y >= 0 and y < H then return x + 0, y + 0 end
    if $TORUS and abs(x) <= 9007199254740992 and abs(y) <= 9007199254740992 then return wrap(x, W), wrap(y, H) end
  end
  if z ~= nil then return nil, "a grid has two dimensions: give x and y" end
  return nil, misfit("x", x, W) or misfit("y", y, H)
end

function S.put(id, x, y) settle(id, y * PITCH + x + 1) end

function S.empty_at(x, y) return link[y * PITCH + x + 1] == 0 end

-- The lowest id in a cell, of type t unless that is 0.
function S.at(x, y, t)
  local id, seen = link[y * PITCH + x + 1], 0
  if t ~= 0 then
    $FIRSTOFTYPE
    while $OTHERTYPE do
      seen = seen + 1
      id = link[BASE + id]
    end
    if seen > 0 then charge(seen / 8) end
  end
  if id == 0 then return nil end
  return id
end

function S.count_at(x, y, t)
  local id, n, seen = link[y * PITCH + x + 1], 0, 0
  while id ~= 0 do
    seen = seen + 1
    if t == 0 or type_of[id] == t then n = n + 1 end
    id = link[BASE + id]
  end
  charge(seen / 8)
  return n
end
]==]

local DISTANCES = [==[
-- From one place to another, the shortest way; of two that are as short, the one that crosses no border.
function S.offset(x, y, _, x2, y2)
  local dy = y2 - y
  $WRAPDY
  $LEAN
  local dx = x2 - x + lean
  $WRAPDX
  return dx - lean, dy
end

function S.distance(x, y, _, x2, y2)
  local dy = y2 - y
  $WRAPDY
  $LEAN
  local dx = x2 - x + lean
  $WRAPDX
  dx, dy = abs(dx), abs(dy)
  return $METRIC
end

local distance = S.distance

local function distance_to(x, y, id)
  local x2, y2 = S.get(id)
  return (distance(x, y, nil, x2, y2))
end
]==]

local NEIGHBORHOODS = [==[
-- The cells of row y + dy within r of (x, y): offsets of x from low to high, at most W of them.
local function reach(y, dy, r)
  $REACH
  if $TORUS and high - low + 1 >= W then
    low = -floor((W - 1) / 2)
    return low, low + W - 1
  end
  return low, high
end

-- The rows within r of row y: offsets of y, at most H of them.
local function rows(y, r)
  if not $TORUS then return max(-r, -y), min(r, H - 1 - y) end
  if 2 * r + 1 >= H then
    local low = -floor((H - 1) / 2)
    return low, low + H - 1
  end
  return -r, r
end

-- The cells of `reach` as one or two runs of columns: from..to, then 0..more unless that is -1.
local function run(x, y, dy, r)
  local low, high = reach(y, dy, r)
  local from, to = x + low, x + high
  if not $TORUS then return max(from, 0), min(to, W - 1), -1 end
  if from < 0 then return from + W, W - 1, to end
  if to >= W then return from, W - 1, to - W end
  return from, to, -1
end

-- The cell (x, y) is row[y + MARGIN] + col[x + MARGIN], for what lies outside by less than MARGIN too.
local MARGIN = $MARGIN
local col, row = i32(W + 2 * MARGIN), i32(H + 2 * MARGIN)
for k = 0, W + 2 * MARGIN do
  local x = k - MARGIN
  col[k] = $COLUMNOFX
end
for k = 0, H + 2 * MARGIN do
  local y = k - MARGIN
  row[k] = $ROWOFY * PITCH + 1
end

-- What lies within r of a cell, as lists of offsets raised by MARGIN, or false where rows have to be walked; the
-- key tells the radius and, for hexagons, whether the row is odd.
local lists = {}

local function make_list(key, y, r)
  local list = false
  if r < MARGIN and not ($TORUS and (2 * r + 1 > W or 2 * r + 1 > H)) then
    local n, size = 0, (2 * r + 1) * (2 * r + 1)
    local dxs, dys = i32(size), i32(size)
    for dy = -r, r do
      local low, high = reach(y, dy, r)
      for dx = low, high do
        n = n + 1
        dxs[n], dys[n] = dx + MARGIN, dy + MARGIN
      end
    end
    list = { n = n, dxs = dxs, dys = dys }
  end
  lists[key] = list
  return list
end
]==]

local SCAN = [==[
if r > W + H then r = W + H end
r = floor(r)
local list = lists[$KEY]
if list == nil then list = make_list($KEY, y, r) end
if list then
  local dxs, dys = list.dxs, list.dys
  seen = list.n
  for k = 1, list.n do
    local id = link[row[y + dys[k]] + col[x + dxs[k]]]
    $MEET
  end
  $DONE
else
  local low, high = rows(y, r)
  for dy = low, high do
    local from, to, more = run(x, y, dy, r)
    local base = (y + dy) % H * PITCH + 1
    repeat
      seen = seen + to - from + 1
      for c = base + from, base + to do
        local id = link[c]
        $MEET
      end
      from, to, more = 0, more, -1
    until to < 0
    $DONE
  end
end
]==]

local READ = [==[
local places = i32(n)
pos = D.buffer.read_i32s(bytes, pos, places, 1, n)
for k = 1, n do
  local y = floor(places[k] / S.width)
  cell_of[ids[k]] = y * $PITCH + places[k] - y * S.width + 1
end
]==]

local SHAPES = {
  [8] = {
    METRIC = "max(dx, dy)",
    REACH = "local low, high = -r, r",
    LEAN = "local lean = 0",
    KEY = "r",
  },
  [4] = {
    METRIC = "dx + dy",
    REACH = "local low, high = abs(dy) - r, r - abs(dy)",
    LEAN = "local lean = 0",
    KEY = "r",
  },
  -- Each row away leaves half a cell less on both sides, and rows lean to the right or left by half a cell.
  [6] = {
    METRIC = "dy + max(0, dx - dy / 2)",
    REACH = "local low = (y % 2 - (y + dy) % 2 + abs(dy)) / 2 - r local high = low + 2 * r - abs(dy)",
    LEAN = "local lean = (y2 % 2 - y % 2) / 2",
    KEY = "2 * r + y % 2",
  },
}

-- The scan of the cells within r without a loop: three times as fast where nothing in it branches.
local function unrolled(r, manhattan)
  local out, cells = {}, 0
  for d = -r, r do
    out[#out + 1] = format("local row%d, col%d = row[y + (%d)], col[x + (%d)]", d + r, d + r, d + MARGIN, d + MARGIN)
  end
  for dy = -r, r do
    local reach = manhattan and r - abs(dy) or r
    for dx = -reach, reach do
      out[#out + 1] = format("do local id = link[row%d + col%d] $MEET end", dy + r, dx + r)
      cells = cells + 1
    end
  end
  out[#out + 1] = "seen = " .. show(cells) .. " $DONE"
  return concat(out, "\n")
end

local function wrapped(v, size)
  local code = "if $V > $SIZE / 2 then $V = $V - $SIZE elseif $V < -$SIZE / 2 then $V = $V + $SIZE end"
  return D.cells.fill(code, { V = v, SIZE = size })
end

-- The memory of a grid of these measures with so many agents, in bytes.
function M.bytes(spec, agents)
  local number = D.vm == "luajit" and 4 or 16
  return ((spec.width + 1) * (spec.height + 1) + 3 * agents) * number
end

-- spec: width, height, torus, neighbors (4, 8 or 6), single, agents (how many are expected, or nil).
function M.new(spec)
  local W, H, torus = spec.width, spec.height, spec.torus
  local pitch = torus and W or W + 1
  local cells = torus and W * H or (W + 1) * (H + 1)
  local leaves, levels = 1, 0
  while leaves * 8 < cells do
    leaves, levels = leaves * 2, levels + 1
  end
  local parts = {
    COLUMNS = "", GROW = "", XYZ = "xs, ys", XYZOFK = "xs[k], ys[k]",
    SETCELL = "cell_of[id] = ys[k] * " .. show(pitch) .. " + xs[k] + 1",
    COUNTING = COUNTING, RECOUNT = "counted = false",
    COUNTED = "counted", FILLED = "shift_empty(c, -1)", EMPTIED = "shift_empty(c, 1)", LONG = 4,
    CLIMB = rep("i = rshift(i, 1) tree[i] = tree[i] + by ", levels),
    LEAVES = show(leaves), PITCH = show(pitch), MARGIN = show(MARGIN),
    DESCEND = rep(DOWN, levels), PASS = PASS, BESIDE = torus and "0" or "1", WIDTH = show(W), HEIGHT = show(H),
    TORUS = torus and "true" or "false",
    RANGE = torus and '"whole numbers up to 2^53, which wrap around"' or '"whole numbers from 0 to " .. size - 1',
    GUARD = spec.single and 'if link[c] ~= 0 then error("agent " .. id .. "\'s cell is taken", 0) end' or "",
    WRITE = "for k = 1, n do local x, y = S.get(found[k]) found[k] = y * S.width + x end w:i32s(found, 1, n)",
    READ = READ, SCAN = SCAN, SEEK = SCAN, HEADS = spec.single and "0" or show(max(W, 1024)),
    FIRSTOFTYPE = rep(NEXT_OF_TYPE, 4), OTHERTYPE = OTHER_TYPE,
    DISTANCE = "distance_to(x, y, id)", MEASURE = "", NEAR = "id ~= 0", NEARSIGN = "0 - id",
    COLUMNOFX = torus and "x % W" or "((x >= 0 and x < W) and x or W)",
    ROWOFY = torus and "(y % H)" or "((y >= 0 and y < H) and y or H)",
    WRAPDX = torus and wrapped("dx", "W") or "",
    WRAPDY = torus and wrapped("dy", "H") or "",
    FIRSTCIRCLE = "1", LASTCIRCLE = torus and "(min(W, H) - 1) / 2" or "huge",
  }
  if spec.neighbors ~= 6 and (not torus or W >= 5 and H >= 5) then
    local diamond = spec.neighbors == 4
    parts.SCAN = "if r == 1 then\n" .. unrolled(1, diamond) .. "\nelseif r == 2 then\n" .. unrolled(2, diamond)
      .. "\nelse\n" .. SCAN .. "end\n"
  end
  for key, part in pairs(SHAPES[spec.neighbors]) do parts[key] = part end
  local S = { dims = 2, width = W, height = H, single = spec.single and true or false }
  function S.bytes(agents) return M.bytes(spec, agents) end
  return D.cells.build(S, "grid", parts, PLACES .. DISTANCES .. NEIGHBORHOODS, cells, spec.agents)
end

return M
