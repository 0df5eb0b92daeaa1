-- A share of a simulation, made ready: its world, the plan, the scripts of its types.

local D = ...
local aggregate = D.aggregate
local i32 = D.buffer.i32
local error, load, pairs, ipairs = error, load, pairs, ipairs
local sort = table.sort

local M = {}

local function load_types(world)
  local program = world.program
  local handlers = {}
  world.steps, world.inits, world.guards = {}, {}, {}
  for k, t in ipairs(program.types) do
    local extra = {}
    for name, f in pairs(world.api) do extra[name] = f end
    for name, f in pairs(world.features) do extra[name] = f end
    extra.param = world.param
    local env = D.sandbox.environment(extra)
    local chunk, why = load(t.chunk, t.chunkname, "t", env)
    if not chunk then error(why, 0) end
    world.rt.Q.n = world.fuel
    chunk(world.rt)
    local on = D.sandbox.handlers(env)
    local known = {}
    local functions = {}
    for kind, f in pairs(on) do known[kind] = f; functions[#functions + 1] = f end
    handlers[k] = known
    world.steps[k] = D.sandbox.own(env, "step")
    world.inits[k] = D.sandbox.own(env, "init")
    functions[#functions + 1] = world.steps[k]
    functions[#functions + 1] = world.inits[k]
    D.sandbox.seal(env)
    world.guards[k] = D.guard.watch(env, functions)
  end
  return handlers
end

local function compile_fields(world)
  world.fillers, world.places = {}, {}
  for k, t in ipairs(world.program.types) do
    local list = {}
    for j, f in ipairs(t.state or {}) do
      local value = D.compile.expression(world.expression_env, f.field, "i", f.code)
      list[j] = {name = f.field, line = f.line, value = value}
    end
    world.fillers[k] = D.population.filler(world, list)
    local axes = {}
    for j, f in ipairs(t.place_at or {}) do axes[j] = D.compile.expression(world.expression_env, f.field, "i", f.code) end
    world.places[k] = axes
  end
end

-- The environment of expressions: the library, parameters by name, `param`, `tick`.
local function expression_environment(world, parameters)
  local env = {}
  for name, v in pairs(world.lib) do env[name] = v end
  for name, f in pairs(world.draws) do env[name] = f end
  for name, v in pairs(parameters) do env[name] = v end
  env.param = world.param
  env.tick = 0
  return env
end

-- Space, layers, network and environment, as the model has them; fills world.features, what agents get of it.
local function make_shared(world)
  world.changes = D.changes.new(world)
  world.shown = D.published.new(world)
  world.replica = D.replica.new(world)
  local W = world.replica
  local seen = {}
  for name, f in pairs(W.space and D.space.api(W.space, world) or {}) do seen[name] = f end
  for name, f in pairs(W.network and W.network.api(world) or {}) do seen[name] = f end
  world.features = {}
  for name, f in pairs(seen) do world.features[name] = f end
  for name, f in pairs(D.moves.new(world)) do world.features[name] = f end
  if W.layers then
    world.features.layer = W.layers.api(false)
    world.expression_env.layer = world.features.layer
    seen.layer = W.layers.api(true)
  end
  world.expression_env.space = seen.space
  if world.program.environment then
    world.environment = D.environment.new(world)
    world.features.env = world.environment.view
    world.expression_env.env = world.environment.view
    for _, name in ipairs({"neighbors", "count_near", "nearest", "distance", "offset"}) do seen[name] = nil end
  end
  if world.sequential then world.features.ask = world.sequential.ask end
  return seen
end

-- Fills `world`: what it holds when this fails is enough for the fault's report.
function M.prepare(world, settings)
  local program = settings.program
  local index = {}
  for k, name in ipairs(program.kinds) do index[name] = k end
  for _, shape in ipairs(program.shapes) do shape.kind = index[shape.kind] end
  local parts = {
    program = program, tick = settings.tick, seed = settings.seed, fuel = settings.fuel,
    me = settings.worker, workers = settings.workers, later = {}, samples = {}, record_count = 0,
    spawns = {}, removals = {}, logs = {}, bound = 0, alive_at_start = {}, published = {},
    deferring = settings.activation == "synchronous", memory_limit = settings.memory_bytes,
    kind_index = {}, type_index = {}, alias = {}, metric_names = {}, record_names = {},
    context = "init",
  }
  for name, part in pairs(parts) do world[name] = part end
  world.crumb = D.crumb or i32(2)
  for k, name in ipairs(program.kinds) do world.kind_index[name] = k end
  local first = 1
  for k, t in ipairs(program.types) do
    world.type_index[t.name] = k
    if t.alias and t.alias ~= "" then world.alias[t.alias] = first end
    first = first + settings.counts[k]
  end
  for _, e in ipairs(program.expressions) do
    if e.role == "metric" then world.metric_names[e.name] = true end
  end
  for j, name in ipairs(program.records) do world.record_names[j] = name end
  sort(world.record_names)
  world.takers = {}
  for k, name in ipairs(program.kinds) do
    local takes = {}
    for t, one in ipairs(program.types) do
      for _, handled in ipairs(one.handlers) do
        if handled == name then takes[t] = true end
      end
    end
    world.takers[k] = takes
  end
  -- the sandbox of this simulation
  world.rt = D.sandbox.rt
  world.lib = D.sandbox.lib
  world.tostring = D.sandbox.lib.tostring
  local rng = D.rng
  world.rng = rng
  world.draws = {random = rng.random, choice = rng.choice, shuffle = rng.shuffle, normal = rng.normal,
    exponential = rng.exponential, poisson = rng.poisson}
  world.param = D.sandbox.readonly(settings.parameters, "param")
  local api, inner = D.api.new(world)
  for name, f in pairs(world.draws) do api[name] = f end
  world.api, world.inner = api, inner
  D.later = world.later
  -- the plan
  local text, own, shared, kind_of_shape = D.plan.generate(program, world.takers, settings.activation ~= "synchronous")
  world.own, world.shared, world.kind_of_shape = own, shared, kind_of_shape
  local chunk, why = load(text, "@kernel/generated.lua", "t")
  if not chunk then error({kind = "internal", message = "the generated plan does not compile: " .. why}, 0) end
  local hooks = {
    i32 = i32, crumb = world.crumb, Q = world.rt.Q, arm = rng.arm, later = world.later, takers = world.takers,
    where = i32(0), type_of = i32(0), ids = i32(0), selves = {}, fuel = world.fuel, send_limit = D.api.LIMITS.sends,
  }
  for name, f in pairs(inner) do hooks[name] = f end
  local P = chunk(hooks)
  world.plan = P
  inner.bind(P)
  world.rt.S, world.rt.B, world.rt.T = P.S, P.B, P.T
  world.roster = D.roster.new(program.types, settings.counts, settings.shard_size, settings.placement, world.me, P.roster)
  world.mail = D.mail.new(P, world.roster, own, shared, kind_of_shape, world.me, world.workers)
  world.bound = world.roster.last_id
  for k = 1, #program.types do world.alive_at_start[k] = world.roster.alive[k] end
  function world.mail.audience_now(k, sender, day)
    local roster = world.roster
    local bound = day and day[1] or world.bound
    local n = 0
    if day then
      for slot = roster.base[k] + 1, roster.base[k] + roster.count[k] do
        local id = roster.ids[slot]
        if id > bound then break end
        if id ~= sender then n = n + 1 end
      end
    else
      local array, count = roster.members(k)
      n = count
      while n > 0 and array[n] > bound do n = n - 1 end
      if sender <= bound and roster.type_of[sender] == k and roster.where[sender] ~= 0 then n = n - 1 end
    end
    return n
  end
  function world.record(name, value, limit)
    world.record_count = world.record_count + 1
    local s = world.samples[name]
    if not s then
      s = {mean = aggregate.new("mean"), sum = aggregate.new("sum"), min = aggregate.new("min"), max = aggregate.new("max"), by = 0, count = 0}
      world.samples[name] = s
    end
    local me = world.crumb[0]
    if s.by ~= me then s.by = me; s.count = 0 end
    s.count = s.count + 1
    if s.count > limit then
      world.limit_hit = "an agent may record at most " .. limit .. " samples of a name in one tick"
      error(world.limit_hit, 0)
    end
    aggregate.add(s.mean, value); aggregate.add(s.sum, value); aggregate.add(s.min, value); aggregate.add(s.max, value)
  end
  world.expression_env = expression_environment(world, settings.parameters)
  if settings.activation ~= "synchronous" then world.sequential = D.sequential.new(world, settings.activation) end
  local for_environment = make_shared(world)
  local handlers = load_types(world)
  if world.environment then world.environment.load(for_environment) end
  world.handlers = handlers
  local dispatch = {}
  for t = 1, #program.types do dispatch[t] = {} end
  for s = 1, #kind_of_shape do P.links[s](handlers, dispatch) end
  world.dispatch = dispatch
  world.dense, world.sparse, world.undelivered = {}, {}, {}
  world.sparse_allowed = true
  for t = 1, #program.types do
    world.dense[t], world.sparse[t], world.undelivered[t] = P.turns[t](dispatch[t], world.steps[t], program.types[t].name)
    if world.steps[t] then world.sparse_allowed = false end
  end
  compile_fields(world)
  world.expressions = D.expressions.new(world, world.expression_env, world.rt)
end

return M
