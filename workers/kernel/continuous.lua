-- Continuous spaces of two or three dimensions: a torus or bounded, coordinates from 0 to below the size.
--
-- An index of cells finds who is near: a radius reaches a block of cells, and the distance is computed for the agents
-- in them. Neighbours come in the order of the cells (z slowest, then y, then x, each from low offset to high), in a
-- cell by id. Where a radius reaches around a torus, each cell is visited once, from half a turn below. Distances
-- are Euclidean, on a torus the shortest. The order depends on the number of cells, and that on the measures alone.

local D = ...
local floor, max, sqrt = math.floor, math.max, math.sqrt
local concat, format, gsub = table.concat, string.format, string.gsub
local error, ipairs = error, ipairs

local M = {}

-- Without a side given, cells are made for so many agents in each: a radius that finds 12 then looks at 35 in 9 cells,
-- and takes two thirds of the time that it takes with 2 in each.
local AGENTS_IN_CELL = 4
local MOST_CELLS = 4194304

local SIZES = [==[
local WX, WY, WZ = S.width, S.height, S.depth
local NX, NY, NZ = S.columns, S.rows, S.layers
-- Cells per unit of length.
local PX, PY, PZ = NX / WX, NY / WY, NZ / (WZ or 1)

local function cell_at(x, y, z)
  return $CELL
end
]==]

local PLACES = [==[
local function wrap(v, size)
  v = v - floor(v / size) * size
  if v >= 0 and v < size then return v + 0 end
  return 0
end

local function misfit(name, v, size)
  if type(v) == "number" and abs(v) < huge and ($TORUS or v >= 0 and v < size) then return nil end
  return D.space.misfit(name, v, $RANGE)
end

-- The place as it is kept, without a -0; or nil and what is wrong with it.
function S.fit(x, y, z)
  if $NUMBERS then
    if $INSIDE then return $KEPT end
    if $TORUS and $FINITE then return $WRAPPED end
  end
  return nil, $MISFIT
end

function S.get(id)
  if cell_of[id] == 0 then return nil end
  return $COORDINATES
end

function S.put(id, x, y, z)
  $STORE
  settle(id, cell_at(x, y, z))
end

local function shortest(d, size)
  if $TORUS then
    if d > size / 2 then return d - size end
    if d < -size / 2 then return d + size end
  end
  return d
end

-- From one place to another, the shortest way; of two that are as short, the one that crosses no border.
function S.offset(x, y, z, x2, y2, z2)
  return $OFFSET
end

function S.distance(x, y, z, x2, y2, z2)
  $APART
  return sqrt(square)
end

-- Cells from first to last along one axis that a reach around v may touch, at most all n of them; `per` cells in a
-- unit of length. Beyond 0..n-1 they are those around the torus.
local function block(v, reach, per, n)
  local first, last = floor((v - reach) * per), floor((v + reach) * per)
  if not $TORUS then return max(first, 0), min(last, n - 1) end
  if last - first + 1 < n then return first, last end
  first = min(floor(v * per), n - 1) - floor((n - 1) / 2)
  return first, first + n - 1
end

-- Where the cells of a column, row or layer begin, by its number plus n.
local function starts(n, stride)
  local at = i32(3 * n)
  for k = 0, 3 * n do at[k] = k % n * stride end
  return at
end
local columns, lines, layers = starts(NX, 1), starts(NY, NX), starts(NZ, NX * NY)

-- A radius that reaches everything, the first circle of a search for the nearest, and the last whose block of
-- cells does not reach around.
local SPAN = WX + WY + (WZ or 0)
local CIRCLE = 0.5 / min($PERUNIT)
local LAST_CIRCLE = $TORUS and min($HALVES) or huge
]==]

-- The reach is a little longer than r, so that rounding never leaves out a cell.
local SCAN = [==[
if r > SPAN then r = SPAN end
local limit, reach = r * r, r + (r + SPAN) * 1e-12
$BLOCK
seen = $CELLSINBLOCK
local small = seen <= $HEADS
$OPEN
  for cy = first_y, last_y do
    local line = $LAYER + lines[cy + NY]
    for cx = first_x, last_x do
      local id = link[line + columns[cx + NX]]
      $MEET
    end
    if not small then
      $DONE
    end
  end
$CLOSE
$DONE
]==]

-- The side of cells that makes `count` of them in a space of this volume: the square or cube root, by Newton's
-- method because the VMs' powers differ in the last bit.
local function side_for(volume, count, dims)
  local v = volume / count
  if dims == 2 then return sqrt(v) end
  local s = max(v, 1)
  for _ = 1, 2000 do
    local better = s - (s - v / (s * s)) / 3
    if not (better < s) then break end
    s = better
  end
  return s
end

-- Columns, rows and layers of cells, at most MOST_CELLS in all.
local function measures(spec)
  local dims = spec.depth and 3 or 2
  local volume = spec.width * spec.height * (spec.depth or 1)
  local side = spec.cell
  if side == nil or side <= 0 then side = side_for(volume, max(spec.agents, 1) / AGENTS_IN_CELL, dims) end
  side = max(side, side_for(volume, MOST_CELLS, dims))
  local function along(size) return max(1, floor(size / side)) end
  return along(spec.width), along(spec.height), spec.depth and along(spec.depth) or 1
end

-- `pattern` once for each axis: # is x, y, z; @ is X, Y, Z.
local AXES = { { "x", "X" }, { "y", "Y" }, { "z", "Z" } }

local function each_axis(dims, pattern, separator)
  local out = {}
  for k = 1, dims do
    local axis = AXES[k]
    out[k] = gsub(gsub(pattern, "#", axis[1]), "@", axis[2])
  end
  return concat(out, separator or ", ")
end

-- How far along one axis of a torus; the JIT makes a branch of every `if`, and other VMs a call of every function.
local AROUND = "local d# = %s - # if d# < 0 then d# = -d# end if W@ - d# < d# then d# = W@ - d# end"
if D.vm == "luajit" then AROUND = "local d# = abs(%s - #) d# = min(d#, W@ - d#)" end

-- The memory of a space of these measures with so many agents, in bytes.
function M.bytes(spec, agents)
  local columns, rows, layers = measures(spec)
  local whole, number = 16, 16
  if D.vm == "luajit" then whole, number = 4, 8 end
  return (columns * rows * layers + 3 * agents) * whole + agents * (spec.depth and 3 or 2) * number
end

-- Squares of what is far beyond would be infinite, or 0.
local function check_sizes(spec)
  for _, name in ipairs({ "width", "height", "depth" }) do
    local size = spec[name]
    if size and not (size >= 1e-100 and size <= 1e100) then
      error("a continuous space has a " .. name .. " from 1e-100 to 1e100, not " .. D.sandbox.lib.tostring(size), 0)
    end
  end
end

-- spec: width, height, depth (3-D), torus, cell (the least side of an index cell, or nil), agents (how many are
-- expected; the same after a restore as at creation).
function M.new(spec)
  check_sizes(spec)
  local S = { dims = spec.depth and 3 or 2, single = false }
  S.width, S.height, S.depth = spec.width, spec.height, spec.depth
  local columns, rows, layers = measures(spec)
  S.columns, S.rows, S.layers = columns, rows, layers
  local cells = columns * rows * layers
  function S.bytes(agents) return M.bytes(spec, agents) end
  local function axes(pattern, separator) return each_axis(S.dims, pattern, separator) end

  local torus = spec.torus
  local function square(other)
    local away = format(torus and AROUND or "local d# = %s - #", other)
    return axes(away, " ") .. " local square = " .. axes("d# * d#", " + ")
  end
  local cell = "min(floor(x * PX), NX - 1) + min(floor(y * PY), NY - 1) * NX + 1"
  local deep = S.dims == 3
  if deep then cell = cell .. " + min(floor(z * PZ), NZ - 1) * (NX * NY)" end
  local parts = {
    COLUMNS = "local " .. axes("#s") .. " = " .. axes("f64(room)"),
    GROW = axes("#s = longer(f64, #s, last, size)", " "),
    XYZ = axes("all_#"),
    XYZOFK = axes("all_#[k]"),
    SETCELL = "local " .. axes("#") .. " = " .. axes("all_#[k]") .. " " .. axes("#s[id]") .. " = " .. axes("#")
      .. " cell_of[id] = cell_at(" .. axes("#") .. ")",
    COUNTING = SIZES, RECOUNT = "", GUARD = "", COUNTED = "false", FILLED = "", EMPTIED = "", LONG = 4,
    CELL = cell,
    WRITE = "local out = f64(n)" .. axes(" for k = 1, n do out[k] = #s[found[k]] end w:f64s(out, 1, n)", ""),
    READ = "local v = f64(n) "
      .. axes("pos = D.buffer.read_f64s(bytes, pos, v, 1, n) for k = 1, n do #s[ids[k]] = v[k] end", " ")
      .. " for k = 1, n do local id = ids[k] cell_of[id] = cell_at(" .. axes("#s[id]") .. ") end",
    TORUS = torus and "true" or "false",
    RANGE = torus and '"finite coordinates, which wrap around"'
      or '"coordinates from 0 to below " .. D.sandbox.lib.tostring(size)',
    NUMBERS = axes('type(#) == "number"', " and ") .. (deep and "" or " and z == nil"),
    INSIDE = axes("# >= 0 and # < W@", " and "),
    KEPT = axes("# + 0"),
    FINITE = axes("abs(#) < huge", " and "),
    WRAPPED = axes("wrap(#, W@)"),
    MISFIT = axes('misfit("#", #, W@)', " or ") .. (deep and "" or ' or "this space has two dimensions: give x and y"'),
    COORDINATES = axes("#s[id]"),
    STORE = axes("#s[id]") .. " = " .. axes("#"),
    OFFSET = axes("shortest(#2 - #, W@)"),
    APART = square("#2"),
    MEASURE = square("#s[id]") .. " ",
    SCAN = SCAN, SEEK = SCAN, HEADS = format("%d", max(columns, 1024)),
    BLOCK = axes("local first_#, last_# = block(#, reach, P@, N@)", " "),
    CELLSINBLOCK = axes("(last_# - first_# + 1)", " * "),
    OPEN = deep and "for cz = first_z, last_z do" or "",
    CLOSE = deep and "end" or "",
    LAYER = deep and "1 + layers[cz + NZ]" or "1",
    DISTANCE = "square", NEAR = "square <= limit",
    NEARSIGN = "0 - id, bnot(tobit(floor(max(min(limit - square, 0), -1))))",
    PERUNIT = axes("P@"),
    HALVES = axes("(N@ - 3) / 2 / P@"),
    FIRSTCIRCLE = "CIRCLE",
    LASTCIRCLE = "LAST_CIRCLE",
  }
  return D.cells.build(S, "continuous", parts, PLACES, cells, spec.agents)
end

return M
