-- Layers: numeric fields over the cells of a space, cell y * width + x, each a flat array of doubles.
--
-- A layer's step, diffuse and decay make its new values from those before; steps of all layers read what stood
-- before any of them. A pass over a layer writes to a spare array, which then changes places with the layer's own;
-- spares are shared between layers.

local D = ...
local codec, stencil = D.codec, D.stencil
local f64, read_u32 = D.buffer.f64, D.buffer.read_u32
local charge = D.sandbox.charge
local error, ipairs, type = error, ipairs, type

local ADD = D.layer_views.ADD
local PIECE = 65536      -- cells in one column of what is written

local M = {}

-- world: expression_env; deferring and defer(index, op, cell, value) for what agents write while they act; env_active:
-- the environment acts, and may write.
-- specs: see the program's `layers`. neighbors: 4, 8 or 6 (hex, odd rows half a cell to the right).
-- continuous: coordinates are points, and floor(x) the cell; else a bounded grid refuses fractions.
function M.new(world, specs, width, height, torus, neighbors, continuous)
  local env = world.expression_env
  local cells, count = width * height, #specs
  local values, spare = {}, {}
  local inits, steps, reads, diffuse_rate, decay_rate = {}, {}, {}, {}, {}
  local index_of, names = {}, {}
  local L = {names = names}

  for k = 1, count do
    names[k] = specs[k].name
    index_of[names[k]] = k
  end

  local function where(k, part)
    world.expression = {name = "layers." .. names[k] .. "." .. part, line = specs[k].line}
  end

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
      error(label(k, part) .. " is a share from 0 to 1, not " .. D.layer_views.shown(r), 0)
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
      local seen = spec.uses_around and neighbors or 0
      steps[k] = stencil.pass(env, world.expression.name, spec.step, seen, torus, spec.reads)
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

  -- The table `layer` of scripts; with `environment`, that of environment.lua.
  function L.api(environment)
    return D.layer_views.new({
      world = world, names = names, values = values, width = width, height = height, torus = torus,
      neighbors = neighbors, whole = not torus and not continuous,
      apply = L.apply, take = take, replace = replace,
      diffuse = diffuse, decay = decay,
    }, environment)
  end

  return L
end

return M
