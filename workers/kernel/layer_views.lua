-- `layer` as scripts see it: read-only tables, called to read a cell, with methods to change and to sum up.
--
-- What is asked of one layer takes constant time; sum, mean, min, max, count, fill, diffuse, decay and map go over all
-- cells, and charge for them.

local D = ...
local exact, stencil = D.exact, D.stencil
local charge = D.sandbox.charge
local text, describe = D.values.text, D.values.describe
local error, ipairs, setmetatable, type = error, ipairs, setmetatable, type
local concat, floor, huge, match = table.concat, math.floor, math.huge, string.match

local ADD, SET = 1, 2
local FARTHEST = 2147483648     -- on a torus; beyond it x % width is no longer exact for every width
local READ_ONLY = "use layer.NAME:set(x, y, v) or :add(x, y, v)"
local ANYONES = "add, set, sum, mean, min, max, count"
local ENVIRONMENTS = "fill, diffuse, decay, map, around"
local FORMS = {
  "add(x, y, v)", "set(x, y, v)", "count(v)", "fill(v)", "diffuse(r)", "decay(r)", "map(f)", "around(x, y)",
}

local M = {ADD = ADD, SET = SET}

local function deny(message) error(message, 0) end

local function shown(v)
  if type(v) == "number" then return text(v) end
  return describe(v)
end
M.shown = shown

local function need_number(v, call)
  if type(v) ~= "number" then deny(call .. ": v is a number, not " .. shown(v)) end
end

local function need_share(r, call)
  if type(r) ~= "number" or not (r >= 0 and r <= 1) then
    deny(call .. ": r is a share from 0 to 1, not " .. shown(r))
  end
end

-- cell_at(x, y, call): the cell of these coordinates, or an error about `call`.
local function cells_of(width, height, torus, whole)
  local function refuse(call, axis, v, size)
    local allowed = "a number from 0 to below " .. size
    if torus then allowed = "a number of at most 2^31 in size" end
    if whole then allowed = "a whole number from 0 to " .. size - 1 end
    deny(call .. ": " .. axis .. " is " .. allowed .. ", not " .. shown(v))
  end

  local function place(call, axis, v, size)
    if type(v) == "number" then
      if torus and v >= -FARTHEST and v <= FARTHEST then return floor(v) % size end
      if v >= 0 and v < size and (not whole or v % 1 == 0) then return floor(v) end
    end
    refuse(call, axis, v, size)
  end

  return function(x, y, call)
    if type(x) == "number" and type(y) == "number" and x >= 0 and x < width and y >= 0 and y < height then
      local i, j = floor(x), floor(y)
      if i == x and j == y then return j * width + i end
    end
    local i = place(call, "x", x, width)
    return place(call, "y", y, height) * width + i
  end
end

-- The method that goes over all cells of layer k with `better(v, best)`; NaN wins, as in aggregates.
local function extreme(own, values, k, cells, start, better)
  return function(me)
    own(me)
    charge(cells / 8)
    local array, best = values[k], start
    for c = 0, cells - 1 do
      local v = array[c]
      if v ~= v then return v end
      if better(v, best) then best = v end
    end
    return best
  end
end

local function less(a, b) return a < b end

local function more(a, b) return a > b end

-- Queries are functions of environment.lua too, and called in agents' turns and by metrics.
local function need_acting(world, call)
  if world.env_active then return end
  deny(call .. " cannot be called in a query: a query only reads; do it in step or in a handler of environment.lua")
end

-- What changes or looks at a whole layer, for the environment alone.
local function add_whole_layer(m, L, k, own, called, cell_at)
  local world, values, width, height, torus = L.world, L.values, L.width, L.height, L.torus
  local cells = width * height

  local function writing(me, call)
    own(me)
    need_acting(world, call)
  end

  function m.fill(me, v)
    writing(me, called.fill)
    need_number(v, called.fill)
    charge(cells / 8)
    local array = values[k]
    for c = 0, cells - 1 do array[c] = v end
  end

  function m.diffuse(me, r)
    writing(me, called.diffuse)
    need_share(r, called.diffuse)
    L.diffuse(k, r)
  end

  function m.decay(me, r)
    writing(me, called.decay)
    need_share(r, called.decay)
    L.decay(k, r)
  end

  -- f may itself change layers, this one too: values[k] is looked up anew for every cell.
  function m.map(me, f)
    writing(me, called.map)
    if type(f) ~= "function" then deny(called.map .. ": f is a function(v, x, y), not " .. shown(f)) end
    local made, c = L.take(), 0
    for y = 0, height - 1 do
      charge(width / 8)
      for x = 0, width - 1 do
        local v = f(values[k][c], x, y)
        if type(v) ~= "number" then
          local cell = "(" .. x .. ", " .. y .. ")"
          deny(called.map .. ": f gives " .. shown(v) .. " for cell " .. cell .. ", where a number is needed")
        end
        made[c] = v
        c = c + 1
      end
    end
    L.replace(k, made)
  end

  local function at(x, y)
    if torus then return values[k][(y % height) * width + x % width] end
    if x < 0 or x >= width or y < 0 or y >= height then return 0 end
    return values[k][y * width + x]
  end

  function m.around(me, x, y)
    own(me)
    local cell = cell_at(x, y, called.around)
    x = cell % width
    return stencil.around(at, x, (cell - x) / width, L.neighbors)
  end
end

-- What scripts get as layer.NAME.
local function view(L, k, environment, cell_at)
  local world, values, cells = L.world, L.values, L.width * L.height
  local name = "layer." .. L.names[k]
  local read, called = name .. "(x, y)", {}
  for _, form in ipairs(FORMS) do called[match(form, "^%w+")] = name .. ":" .. form end
  local m, self_ = {}, {}

  local function own(me)
    if me ~= self_ then deny("write " .. name .. ":sum(), " .. name .. ":add(x, y, v) and so on, with a colon") end
  end

  local function put(op, x, y, v, call)
    local cell = cell_at(x, y, call)
    need_number(v, call)
    if environment then
      need_acting(world, call)
    elseif world.deferring then
      return world.defer(k, op, cell, v)
    end
    L.apply(k, op, cell, v)
  end

  function m.add(me, x, y, v)
    own(me)
    put(ADD, x, y, v, called.add)
  end

  function m.set(me, x, y, v)
    own(me)
    put(SET, x, y, v, called.set)
  end

  local function total()
    charge(cells / 8)
    local array, acc, add = values[k], exact.new(), exact.add
    for c = 0, cells - 1 do add(acc, array[c]) end
    return acc
  end

  function m.sum(me)
    own(me)
    return exact.value(total())
  end

  function m.mean(me)
    own(me)
    return exact.mean(total(), cells)
  end

  m.min = extreme(own, values, k, cells, huge, less)
  m.max = extreme(own, values, k, cells, -huge, more)

  function m.count(me, v)
    own(me)
    need_number(v, called.count)
    charge(cells / 8)
    local array, found = values[k], 0
    for c = 0, cells - 1 do
      if array[c] == v then found = found + 1 end
    end
    return found
  end

  local known = ANYONES .. " (environment.lua also " .. ENVIRONMENTS .. ")"
  if environment then
    add_whole_layer(m, L, k, own, called, cell_at)
    known = ANYONES .. ", " .. ENVIRONMENTS
  end
  setmetatable(m, {__index = function(_, field)
    deny(name .. " has no '" .. text(field) .. "': read it with " .. read .. ", or call one of " .. known)
  end})
  return setmetatable(self_, {
    __index = m,
    __of = m,
    __call = function(_, x, y) return values[k][cell_at(x, y, read)] end,
    __newindex = function(_, field) deny(name .. "." .. text(field) .. " cannot be assigned: " .. READ_ONLY) end,
  })
end

-- The table `layer`. L: what layers.lua shares (world, names, values, width, height, torus, neighbors, whole: fractions
-- are refused; apply, take, replace, diffuse, decay). environment: with what environment.lua alone may do.
function M.new(L, environment)
  local cell_at = cells_of(L.width, L.height, L.torus, L.whole)
  local content = {}
  for k = 1, #L.names do content[L.names[k]] = view(L, k, environment, cell_at) end
  setmetatable(content, {__index = function(_, name)
    deny("there is no layer " .. text(name) .. ": layers are " .. concat(L.names, ", "))
  end})
  return setmetatable({}, {
    __index = content,
    __of = content,
    __newindex = function(_, name) deny("layer." .. text(name) .. " cannot be assigned: " .. READ_ONLY) end,
  })
end

return M
