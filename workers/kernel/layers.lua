-- Layers: numeric fields over the cells of a space, cell y * width + x, each a flat array of doubles.
--
-- A layer's step, diffuse and decay make its new values from those before; steps of all layers read what stood
-- before any of them. A pass over a layer writes to a spare array, which then changes places with the layer's own;
-- spares are shared between layers.

local D = ...
local codec, exact, stencil = D.codec, D.exact, D.stencil
local f64, read_u32 = D.buffer.f64, D.buffer.read_u32
local charge = D.sandbox.charge
local text, describe = D.values.text, D.values.describe
local error, floor, setmetatable, type = error, math.floor, setmetatable, type
local concat, huge = table.concat, math.huge

local ADD, SET = 1, 2
local PIECE = 65536      -- cells in one column of what is written
local FARTHEST = 2147483648
local READ_ONLY = "use layer.NAME:set(x, y, v) or :add(x, y, v)"

local M = {ADD = ADD, SET = SET}

local function deny(message) error(message, 0) end

local function shown(v)
  if type(v) == "number" then return text(v) end
  return describe(v)
end

-- world: needs expression_env; deferring and defer(index, op, cell, value) for what agents write while they act.
-- specs: see the program's `layers`. neighbors: 4, 8 or 6 (hex, odd rows half a cell to the right).
-- continuous: coordinates are points, and floor(x) the cell; else a bounded grid refuses fractions.
function M.new(world, specs, width, height, torus, neighbors, continuous)
  local env = world.expression_env
  local cells, count = width * height, #specs
  local whole = not torus and not continuous
  local values, spare = {}, {}
  local inits, steps, reads, diffuse_rate, decay_rate = {}, {}, {}, {}, {}
  local index_of, names = {}, {}
  local L = {names = names}

  for k = 1, count do
    names[k] = specs[k].name
    index_of[names[k]] = k
  end

  local function where(k, part) world.expression = {name = "layers." .. names[k] .. "." .. part, line = specs[k].line} end

  local function label(k, part) return "layer '" .. names[k] .. "', " .. part end

  -- Arrays ---------------------------------------------------------------------------------------------

  local function take()
    local n = #spare
    local array = spare[n]
    if not array then return f64(cells) end
    spare[n] = nil
    return array
  end

  local function replace(k, array)
    spare[#spare + 1] = values[k]
    values[k] = array
  end

  local function allocate()
    for k = 1, count do values[k] = values[k] or f64(cells) end
  end

  local zeros = f64(torus and 0 or width)

  -- Bytes of all arrays, before they are made too; a table of Lua 5.2 grows by doubling, 16 bytes a value.
  function L.bytes()
    local spares, diffuses = 0, 0
    for k = 1, count do
      if specs[k].step ~= "" then spares = spares + 1 end
      if specs[k].diffuse ~= "" then diffuses = 1 end
    end
    if spares == 0 then spares = diffuses end
    if spares < #spare then spares = #spare end
    local each = 8 * cells
    if D.vm ~= "luajit" then
      each = 16
      while each < 16 * cells do each = each * 2 end
    end
    return (count + spares) * each
  end

  -- Passes ---------------------------------------------------------------------------------------------

  local function rate(k, part)
    local code = specs[k][part]
    if code == "" then return nil end
    where(k, part)
    local r = D.compile.expression(env, world.expression.name, "", code)()
    if type(r) ~= "number" or not (r >= 0 and r <= 1) then
      deny(label(k, part) .. " is a share from 0 to 1, not " .. shown(r))
    end
    world.expression = nil
    return r
  end

  for k = 1, count do
    local spec = specs[k]
    where(k, "init")
    inits[k] = stencil.pass(env, world.expression.name, spec.init, 0, torus, {})
    if spec.step ~= "" then
      where(k, "step")
      steps[k] = stencil.pass(env, world.expression.name, spec.step, spec.uses_around and neighbors or 0, torus, spec.reads)
      reads[k] = {}
      for j, name in ipairs(spec.reads) do reads[k][j] = index_of[name] end
    end
    world.expression = nil
    diffuse_rate[k], decay_rate[k] = rate(k, "diffuse"), rate(k, "decay")
  end
  local spread = stencil.pass(env, "diffuse", "v * __p + around * __q", neighbors, torus, {})

  local function outside(x, y) return x < 0 or x >= width or y < 0 or y >= height end

  -- What a border cell of a bounded grid could not give away it keeps.
  local function keep_back(from, to, x, y, share)
    local function gone(i, j) return outside(i, j) and 1 or 0 end
    local cell = y * width + x
    to[cell] = to[cell] + stencil.around(gone, x, y, neighbors) * share * from[cell]
  end

  local function diffuse(k, r)
    local from, to = values[k], take()
    local share = r / neighbors
    spread(from, to, {}, width, height, zeros, 1 - r, share)
    if not torus then
      for y = 0, height - 1 do
        if y == 0 or y == height - 1 then
          for x = 0, width - 1 do keep_back(from, to, x, y, share) end
        else
          keep_back(from, to, 0, y, share)
          if width > 1 then keep_back(from, to, width - 1, y, share) end
        end
      end
    end
    replace(k, to)
  end

  local function decay(k, r)
    local array, keep = values[k], 1 - r
    charge(cells / 8)
    for c = 0, cells - 1 do array[c] = array[c] * keep end
  end

  -- Evaluates `init` for all cells, layer by layer, with the stream that is armed; charges fuel like L.step.
  function L.init()
    allocate()
    for k = 1, count do
      where(k, "init")
      stencil.run(label(k, "init"), inits[k], values[k], values[k], {}, width, height, zeros, 0, 0)
    end
    world.expression = nil
  end

  -- The close's turn of the layers: all steps, then each layer's diffuse and decay.
  function L.step(tick)
    env.tick = tick
    local made = {}
    for k = 1, count do
      if steps[k] then
        where(k, "step")
        local others = {}
        for j, other in ipairs(reads[k]) do others[j] = values[other] end
        made[k] = take()
        stencil.run(label(k, "step"), steps[k], values[k], made[k], others, width, height, zeros, 0, 0)
      end
    end
    for k = 1, count do
      if made[k] then replace(k, made[k]) end
    end
    for k = 1, count do
      where(k, "diffuse")
      if diffuse_rate[k] then diffuse(k, diffuse_rate[k]) end
      where(k, "decay")
      if decay_rate[k] then decay(k, decay_rate[k]) end
    end
    world.expression = nil
  end

  -- One write; `cell` is in range, `value` a number.
  function L.apply(index, op, cell, value)
    local array = values[index]
    if op == ADD then value = array[cell] + value end
    array[cell] = value
  end

  -- Bytes ----------------------------------------------------------------------------------------------

  function L.write(w)
    w:array(count)
    for k = 1, count do
      for from = 0, cells - 1, PIECE do
        local n = cells - from
        codec.column(w, values[k], from, n < PIECE and n or PIECE)
      end
    end
  end

  function L.read(bytes, pos)
    local n, at = codec.array_header(bytes, pos)
    if n ~= count then D.buffer.malformed(pos, n .. " layers, where the model has " .. count) end
    allocate()
    for k = 1, count do
      for from = 0, cells - 1, PIECE do
        local size = cells - from < PIECE and cells - from or PIECE
        if read_u32(bytes, at + 1) ~= size then D.buffer.malformed(at, "a layer of another size") end
        at = codec.read_column(bytes, at, values[k], from)
      end
    end
    return at
  end

  -- What scripts see -----------------------------------------------------------------------------------

  local function refuse_place(call, axis, v, size)
    local allowed
    if type(v) ~= "number" or torus then
      allowed = whole and "a whole number" or "a finite number"
      if torus then allowed = allowed .. " of at most 2^31 in size" end
    elseif whole then
      allowed = "a whole number from 0 to " .. size - 1
    else
      allowed = "a number from 0 to below " .. size
    end
    deny(call .. ": " .. axis .. " is " .. allowed .. ", not " .. shown(v))
  end

  local function wrap(call, axis, v, size)
    if type(v) == "number" then
      if torus and v >= -FARTHEST and v <= FARTHEST then return floor(v) % size end
      if v >= 0 and v < size and (not whole or v % 1 == 0) then return floor(v) end
    end
    refuse_place(call, axis, v, size)
  end

  -- The cell at (x, y), or an error about `call`.
  local function cell_at(x, y, call)
    if type(x) == "number" and type(y) == "number" and x >= 0 and x < width and y >= 0 and y < height then
      local i, j = floor(x), floor(y)
      if i == x and j == y then return j * width + i end
    end
    local i = wrap(call, "x", x, width)
    return wrap(call, "y", y, height) * width + i
  end

  local function need_number(v, call, what)
    if type(v) ~= "number" then deny(call .. ": " .. what .. " is a number, not " .. shown(v)) end
  end

  local function need_share(r, call)
    if type(r) ~= "number" or not (r >= 0 and r <= 1) then deny(call .. ": r is a share from 0 to 1, not " .. shown(r)) end
  end

  -- Methods of layer k; `name` is how a script writes it.
  local function methods(k, name, environment)
    local called = {}
    for _, call in ipairs({"add(x, y, v)", "set(x, y, v)", "count(v)", "fill(v)", "diffuse(r)", "decay(r)", "map(f)", "around(x, y)"}) do
      called[string.match(call, "^%w+")] = name .. ":" .. call
    end
    local m = {}
    local self_ = setmetatable({}, {})

    local function own(me)
      if me ~= self_ then deny("write " .. name .. ":sum(), " .. name .. ":add(x, y, v) and so on, with a colon") end
    end

    local function put(op, x, y, v, call)
      local cell = cell_at(x, y, call)
      need_number(v, call, "v")
      if world.deferring then return world.defer(k, op, cell, v) end
      L.apply(k, op, cell, v)
    end

    function m.add(me, x, y, v)
      if me ~= self_ then own(me) end
      put(ADD, x, y, v, called.add)
    end

    function m.set(me, x, y, v)
      if me ~= self_ then own(me) end
      put(SET, x, y, v, called.set)
    end

    local function total()
      charge(cells / 8)
      local array, acc, add = values[k], exact.new(), exact.add
      for c = 0, cells - 1 do add(acc, array[c]) end
      return acc
    end

    function m.sum(me) own(me) return exact.value(total()) end

    function m.mean(me) own(me) return exact.mean(total(), cells) end

    -- NaN wins, as in aggregates.
    function m.min(me)
      own(me)
      charge(cells / 8)
      local array, best = values[k], huge
      for c = 0, cells - 1 do
        local v = array[c]
        if v < best or v ~= v then
          best = v
          if v ~= v then break end
        end
      end
      return best
    end

    function m.max(me)
      own(me)
      charge(cells / 8)
      local array, best = values[k], -huge
      for c = 0, cells - 1 do
        local v = array[c]
        if v > best or v ~= v then
          best = v
          if v ~= v then break end
        end
      end
      return best
    end

    function m.count(me, v)
      own(me)
      need_number(v, called.count, "v")
      charge(cells / 8)
      local array, found = values[k], 0
      for c = 0, cells - 1 do
        if array[c] == v then found = found + 1 end
      end
      return found
    end

    if environment then
      -- While agents act, the environment's functions are called as queries.
      local function writing(me, call)
        own(me)
        if world.deferring then deny(call .. " changes a layer; a query that agents call only reads") end
      end

      function m.fill(me, v)
        writing(me, called.fill)
        need_number(v, called.fill, "v")
        charge(cells / 8)
        local array = values[k]
        for c = 0, cells - 1 do array[c] = v end
      end

      function m.diffuse(me, r)
        writing(me, called.diffuse)
        need_share(r, called.diffuse)
        diffuse(k, r)
      end

      function m.decay(me, r)
        writing(me, called.decay)
        need_share(r, called.decay)
        decay(k, r)
      end

      -- f may itself change layers, this one too: values[k] is looked up anew for every cell.
      function m.map(me, f)
        writing(me, called.map)
        if type(f) ~= "function" then deny(called.map .. ": f is a function(v, x, y), not " .. shown(f)) end
        local made, c = take(), 0
        for y = 0, height - 1 do
          charge(width / 8)
          for x = 0, width - 1 do
            local v = f(values[k][c], x, y)
            if type(v) ~= "number" then
              deny(called.map .. ": f gives " .. shown(v) .. " for cell (" .. x .. ", " .. y .. "), where a number is needed")
            end
            made[c] = v
            c = c + 1
          end
        end
        replace(k, made)
      end

      function m.around(me, x, y)
        own(me)
        local cell = cell_at(x, y, called.around)
        local array = values[k]
        local i = cell % width
        local function at(a, b)
          if torus then a, b = a % width, b % height elseif outside(a, b) then return 0 end
          return array[b * width + a]
        end
        return stencil.around(at, i, (cell - i) / width, neighbors)
      end
    end
    return m, self_
  end

  local function view(k, environment)
    local name = "layer." .. names[k]
    local m, self_ = methods(k, name, environment)
    local call = name .. "(x, y)"
    local meta = getmetatable(self_)
    meta.__index, meta.__of = m, m
    meta.__call = function(_, x, y) return values[k][cell_at(x, y, call)] end
    meta.__newindex = function(_, field) deny(name .. "." .. text(field) .. " cannot be assigned: " .. READ_ONLY) end
    local known = environment and "add, set, sum, mean, min, max, count, fill, diffuse, decay, map, around"
      or "add, set, sum, mean, min, max, count (environment.lua also fill, diffuse, decay, map, around)"
    setmetatable(m, {__index = function(_, field)
      deny(name .. " has no '" .. text(field) .. "': read it with " .. call .. ", or call one of " .. known)
    end})
    return self_
  end

  -- The table `layer` of scripts; with `environment`, that of environment.lua.
  function L.api(environment)
    local content = {}
    for k = 1, count do content[names[k]] = view(k, environment) end
    setmetatable(content, {__index = function(_, name)
      deny("there is no layer " .. text(name) .. ": layers are " .. concat(names, ", "))
    end})
    return setmetatable({}, {
      __index = content,
      __of = content,
      __newindex = function(_, name) deny("layer." .. text(name) .. " cannot be assigned: " .. READ_ONLY) end,
    })
  end

  return L
end

return M
