-- The part of a simulation that every worker has a copy of: environment, space, layers, network, published
-- fields. All copies are made alike, and changed alike when a tick closes.

local D = ...
local codec, in_toml = D.codec, D.faults.in_toml
local type, error, pairs, ipairs, pcall = type, error, pairs, ipairs, pcall
local sort, find, format = table.sort, string.find, string.format

local M = {}

-- Streams of the engine's own draws; agents have ids from 1, the environment 0.
local PLACEMENT, CONFLICTS, LAYERS, NETWORK = -3, -2, -4, -5

local MOST_CELLS = 10000000

-- world: see main.lua. Sizes come from expressions over parameters.
function M.new(world)
  local program, rng, R = world.program, world.rng, world.roster
  local W = {told = 0}                -- messages of the engine in this tick
  local env = world.expression_env

  local function number(code, name, line)
    if code == nil or code == "" then return nil end
    local v = D.compile.expression(env, name, "", code)()
    if type(v) ~= "number" then
      in_toml(line, name .. " gives " .. (v == nil and "nil" or "a " .. type(v)) .. ", where a number is needed")
    end
    return v
  end

  local function size(code, name, line, whole)
    local v = number(code, name, line)
    if v and not (v > 0 and v < 9007199254740992 and (not whole or v % 1 == 0)) then
      in_toml(line, "the space's " .. name .. " is " .. world.tostring(v) .. "; it must be "
        .. (whole and "a whole number of cells, 1 or more" or "a number above 0"))
    end
    return v
  end

  -- Before the arrays are made: a space that cannot fit is refused with its estimate.
  local function need(bytes, what, line)
    local limit = world.memory_limit
    if limit > 0 and bytes > limit then
      in_toml(line, format("%s needs about %d MB on every worker, and a worker's limit is %d MB; make it smaller, or raise memory_mb",
        what, bytes / 1048576, limit / 1048576), "memory")
    end
  end

  local function make_space(spec)
    local grid = spec.kind == "grid"
    local line = spec.line or 0
    local made = {width = size(spec.width, "width", line, grid), height = size(spec.height, "height", line, grid),
      depth = size(spec.depth, "depth", line, grid), torus = spec.torus, neighbors = spec.neighbors, single = spec.single,
      cell = size(spec.cell, "cell", line, false), agents = R.last_id}
    local cells = grid and made.width * made.height or 0
    if cells > MOST_CELLS then
      in_toml(line, format("a grid of %.0f x %.0f has %.0f cells, about %.0f MB on every worker before any layer; at most 10000000 cells are made",
        made.width, made.height, cells, cells * 8 / 1048576), "memory")
    end
    if grid and made.neighbors == 6 and made.torus and made.height % 2 == 1 then
      in_toml(line, format("a hex torus needs an even height, so that rows meet; this one has %d", made.height))
    end
    if #program.layers > 0 and (made.width % 1 > 0 or made.height % 1 > 0) then
      in_toml(line, format("layers have a cell for each unit square, so width and height are to be whole numbers, not %s x %s",
        world.tostring(made.width), world.tostring(made.height)))
    end
    local layer_cells = made.width * made.height
    if #program.layers > 0 and layer_cells > MOST_CELLS then
      in_toml(line, format("layers over %.0f x %.0f would have %.0f cells each; at most 10000000 are made", made.width, made.height, layer_cells), "memory")
    end
    need(cells * 8 + R.last_id * 32 + layer_cells * 16 * #program.layers, "this space", line)
    local ok, space = pcall((grid and D.grid or D.continuous).new, made)
    if not ok then
      local memory = find(space, "not enough memory", 1, true)
      in_toml(line, memory and "the space does not fit into a worker's memory" or space, memory and "memory" or nil)
    end
    return space, made
  end

  if program.space then
    W.space, W.spec = make_space(program.space)
    W.space.reserve(R.last_id)
    W.space.roster(R.type_of)
  end
  if #program.layers > 0 then
    W.layers = D.layers.new(world, program.layers, W.spec.width, W.spec.height, W.spec.torus,
      W.spec.neighbors or 8, program.space.kind ~= "grid")
  end
  W.fuel = program.environment_fuel

  -- What the layers do is the environment's work: its fuel, and a stream of their own.
  local function begin_layers()
    world.rt.Q.n = W.fuel
    rng.arm(LAYERS)
  end

  if program.network then
    W.network = D.network.new(program.network.directed)
    W.network.reserve(R.last_id)
  end

  -- After ids were given to newborns, or the roster's arrays were replaced.
  function W.follow_roster()
    if W.space then
      W.space.reserve(R.last_id)
      W.space.roster(R.type_of)
    end
    if W.network then W.network.reserve(R.last_id) end
  end

  -- Creation ------------------------------------------------------------------------------------------

  -- Layers, network and places, before any init. Draws have streams of their own.
  function W.create(counts)
    local first = 1
    if W.layers then
      begin_layers()
      W.layers.init()
    end
    world.context = "place"
    for k, t in ipairs(program.types) do
      if W.space and t.place ~= "" and counts[k] > 0 then
        rng.arm(PLACEMENT - 1000 * k)
        D.placing.place(world, k, first, counts[k], world.places[k])
      end
      first = first + counts[k]
    end
    if W.network then
      local spec = program.network
      local ids = {}
      first = 1
      for k = 1, #program.types do
        if spec.of == 0 or spec.of == k then
          for j = 0, counts[k] - 1 do ids[#ids + 1] = first + j end
        end
        first = first + counts[k]
      end
      local numbers = {}
      for name, code in pairs(spec.numbers) do numbers[name] = number(code, name, spec.line) end
      rng.arm(NETWORK)
      local ok, why = pcall(D.network.generate, W.network, spec.kind, ids, numbers, spec.torus, spec.edges, rng.uniform)
      if not ok then
        if type(why) ~= "string" then error(why, 0) end
        if find(why, "not enough memory", 1, true) then
          in_toml(spec.line, format("the network does not fit into a worker's %d MB; make it smaller, or raise memory_mb",
            world.memory_limit / 1048576), "memory")
        end
        in_toml(spec.line, "the network: " .. why)
      end
    end
  end

  function W.step_layers()
    if W.layers then
      begin_layers()
      W.layers.step(world.tick)
    end
  end

  local rules = false
  for _, layer in ipairs(program.layers) do
    if layer.step ~= "" or layer.diffuse ~= "" or layer.decay ~= "" then rules = true end
  end

  -- Whether the shared world does something of its own when `tick` closes.
  function W.acts(tick)
    local E = world.environment
    return rules or (E ~= nil and (E.has_step or #E.spawns > 0 or E.calendar[tick] ~= nil))
  end

  -- Changes -------------------------------------------------------------------------------------------

  -- Moves of living agents. On a grid of single cells an empty cell goes to one of those who ask for it.
  function W.move(moves)
    local S, where = W.space, R.where
    if not S or moves.n == 0 then return end
    local ids, xs, ys, zs, n = moves.id, moves.x, moves.y, moves.z, moves.n
    if not S.single then
      local kept = 0
      for j = 1, n do
        if where[ids[j]] ~= 0 then
          kept = kept + 1
          if kept ~= j then ids[kept], xs[kept], ys[kept], zs[kept] = ids[j], xs[j], ys[j], zs[j] end
        end
      end
      if S.dims == 3 then S.put_many(ids, xs, ys, zs, kept) else S.put_many(ids, xs, ys, kept) end
      return
    end
    rng.arm(CONFLICTS)
    local last, asked, winner = {}, {}, {}
    for j = 1, n do last[ids[j]] = j end
    local blocked = {}
    for j = 1, n do
      local id, x, y = ids[j], xs[j], ys[j]
      if last[id] == j and where[id] ~= 0 then
        local ox, oy = S.get(id)
        if ox ~= x or oy ~= y then
          local cell = y * S.width + x
          if not S.empty_at(x, y) then
            blocked[#blocked + 1] = j
          else
            local count = (asked[cell] or 0) + 1
            asked[cell] = count
            if count == 1 then
              winner[cell] = j
            elseif rng.uniform() * count < 1 then
              blocked[#blocked + 1] = winner[cell]
              winner[cell] = j
            else
              blocked[#blocked + 1] = j
            end
          end
        end
      end
    end
    for j = 1, n do
      local cell = ys[j] * S.width + xs[j]
      if winner[cell] == j then S.put(ids[j], xs[j], ys[j]) end
    end
    sort(blocked)
    for _, j in ipairs(blocked) do W.block(ids[j], xs[j], ys[j]) end
  end

  -- Tells an agent that it does not get the cell it asked for, if its type wants to know.
  function W.block(id, x, y)
    local k = world.kind_index.blocked
    if not k or not world.takers[k][R.type_of[id]] then return end
    W.told = W.told + 1
    -- numbered after all that the environment can send
    world.mail.from_world(id, k, {x = x, y = y}, world.tick + 1, D.api.LIMITS.sends + W.told, world.tick)
  end

  function W.link(links)
    local N, where = W.network, R.where
    for j = 1, links.n do
      local a, b = links.id[j], links.other[j]
      if where[a] ~= 0 and where[b] ~= 0 then
        if links.op[j] == 1 then N.add(a, b, links.weight[j]) else N.remove(a, b) end
      end
    end
  end

  function W.remove(id)
    if W.space and W.space.placed(id) then W.space.take(id) end
    if W.network then W.network.drop(id) end
    if world.shown.exists then world.shown.hide(R.type_of[id], id) end
  end

  -- The place of a newborn: asked for, or its parent's. `x, y, z` is where the parent stood.
  function W.settle(id, parent, spawn, x, y, z)
    local S = W.space
    if not S then return end
    if spawn[4] ~= nil then
      x, y, z = spawn[4], spawn[5], spawn[6]
      if S.single and not S.empty_at(x, y) then W.block(id, x, y) return end
    elseif S.single then
      return
    elseif parent > 0 and R.where[parent] ~= 0 then
      x, y, z = S.get(parent)
    end
    if x ~= nil then S.put(id, x, y, z) end
  end

  -- Bytes ----------------------------------------------------------------------------------------------

  W.exists = program.environment ~= nil or W.space ~= nil or W.network ~= nil or world.shown.exists

  -- Canonical: equal worlds give equal bytes. Empty for a model that has none of this.
  function W.write()
    if not W.exists then return "" end
    local w = codec.writer()
    w:array(5)
    if world.environment then world.environment.write(w) else w:value(nil) end
    if W.space then W.space.write(w, R.last_id) else w:value(nil) end
    if W.layers then W.layers.write(w) else w:value(nil) end
    if W.network then W.network.write(w) else w:value(nil) end
    world.shown.write(w)
    return w:result()
  end

  function W.read(bytes)
    if bytes == "" then return end
    W.follow_roster()
    local _, pos = codec.array_header(bytes, 1)
    local function part(has, read)
      if has then pos = read(bytes, pos) else _, pos = codec.decode(bytes, pos) end
    end
    part(world.environment, world.environment and world.environment.read)
    part(W.space, W.space and W.space.read)
    part(W.layers, W.layers and W.layers.read)
    part(W.network, W.network and W.network.read)
    world.shown.read(bytes, pos)
  end

  return W
end

return M
