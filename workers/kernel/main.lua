-- The kernel's table of functions, as the host calls it: bytes and numbers in, bytes and numbers out.
--
-- One kernel hosts one worker's share of one simulation. `world` is the record that its parts share.

local D = ...
local codec, aggregate = D.codec, D.aggregate
local i32 = D.buffer.i32
local type, error, tostring, xpcall, load, pairs, ipairs = type, error, tostring, xpcall, load, pairs, ipairs
local sort, concat, floor = table.sort, table.concat, math.floor
local getinfo, getlocal = debug.getinfo, debug.getlocal
local find, match, sub, gsub, format = string.find, string.match, string.sub, string.gsub, string.format
local collectgarbage, pcall = collectgarbage, pcall
local unpack = unpack or table.unpack

local K = {}
local world = nil

-- Faults -----------------------------------------------------------------------------------------

local HIDDEN = {q = true, __R = true, __Q = true, __X = true}

local function brief(v, depth)
  local t = type(v)
  if t == "string" then return '"' .. D.text.cut(v, 30) .. '"' end
  if t == "number" or t == "boolean" or t == "nil" then return world.tostring(v) end
  if t == "table" then
    if depth > 0 then return "{...}" end
    local keys = {}
    for k in pairs(v) do
      if type(k) == "string" or type(k) == "number" then keys[#keys + 1] = k end
    end
    sort(keys, function(a, b)
      if type(a) == type(b) then return a < b end
      return type(a) == "number"
    end)
    local parts = {}
    for j = 1, #keys do
      if j > 6 then parts[#parts + 1] = "..." break end
      local k = keys[j]
      parts[j] = (type(k) == "string" and k or "[" .. tostring(k) .. "]") .. "=" .. brief(v[k], depth + 1)
    end
    return "{" .. concat(parts, ", ") .. "}"
  end
  return "a " .. t
end

-- Runs where the error was thrown, so that the script's frame is still there.
local function on_error(err)
  local report = {err = err}
  for level = 2, 60 do
    local info = getinfo(level, "Sln")
    if not info then break end
    if sub(info.source, 1, 8) == "@agents/" then
      report.file, report.line = sub(info.source, 2), info.currentline
      local parts = {}
      for n = 1, 40 do
        local name, value = getlocal(level, n)
        if not name then break end
        if sub(name, 1, 1) ~= "(" and not HIDDEN[name] and sub(name, 1, 2) ~= "__" and type(value) ~= "function" then
          parts[#parts + 1] = name .. " = " .. brief(value, 0)
        end
      end
      report.locals = concat(parts, "; ")
      break
    end
  end
  return report
end

-- The fault record of a report, in the context that the world was in.
local function fault_of(report, phase)
  if type(report) ~= "table" or report.err == nil then report = {err = report} end
  local err = report.err
  local fault = {tick = world and world.tick or 0}
  local scripts = D.sandbox.thrown_by_script(err)
  if err == D.sandbox.OUT_OF_FUEL then
    fault.kind = "fuel"
    -- pcall has raised it again, further out, by the time it arrives here.
    if err.file and sub(err.file, 1, 7) == "agents/" and (err.file ~= report.file or err.line ~= report.line) then
      report.file, report.line, report.locals = err.file, err.line, nil
    end
    fault.message = "spent all its fuel of " .. format("%d", world.fuel) .. " (one unit a loop turn or function call) in this tick"
  elseif type(err) == "table" and not scripts and err.kind then
    fault.kind, fault.message = err.kind, err.message
  elseif type(err) == "table" and not scripts and err.path then
    fault.kind, fault.message = "script", codec.explain(err)
  elseif type(err) == "string" then
    local file, line, rest = match(err, "^(agents/[^:]+):(%d+): (.*)$")
    if file then report.file, report.line, err = file, tonumber(line), rest end
    err = gsub(err, "^@?kernel/[%w_]+%.lua:%d+: ", "")
    err = gsub(err, "^expression:%d+: ", "")
    fault.kind, fault.message = "script", err
    if find(err, "not enough memory", 1, true) then fault.kind = "memory" end
    if world and err == world.limit_hit then fault.kind = "limit" end
    if find(err, "stack overflow", 1, true) then fault.message = "stack overflow: functions call each other without end" end
  else
    fault.kind = "script"
    fault.message = "error(...) was called with " .. (type(err) == "table" and "the table " .. brief(err, 0) or brief(err, 0))
  end
  fault.file, fault.line, fault.locals = report.file, report.line, report.locals
  if not world or not world.roster then
    fault.order = {phase, 0, 0, 0, 0}
    return fault
  end
  local index, id, nth = 0, world.crumb[0], 0
  local e = world.expression
  if e or phase >= 3 then
    fault.kind = fault.kind == "script" and "metric" or fault.kind
    index = world.expression_index or 0
    id = 0
    if e then
      if e.line and e.line > 0 then fault.file, fault.line = "model.toml", e.line end
      fault.handler = e.name
    end
    if (world.expression_slot or 0) > 0 then id = world.roster.ids[world.expression_slot] end
    if world.expression_about then id, nth = world.expression_about[2], world.expression_about[3] end
  elseif world.dumping then
    id = world.dumping
  elseif world.field then
    fault.message = "initial field '" .. world.field.name .. "': " .. fault.message
    fault.handler = "state." .. world.field.name
    if world.field.line > 0 then fault.file, fault.line = "model.toml", world.field.line end
  elseif id > 0 and world.plan then
    fault.handler = world.context
    local at = world.plan.handling()
    if at > 0 then
      local _, _, rfrom, rshape, rpos = world.plan.inn()
      local kind = world.program.kinds[world.kind_of_shape[rshape[at]]]
      fault.handler = "on." .. kind
      fault.handling = kind .. " " .. brief(world.plan.peek[rshape[at]](rpos[at]), 0) .. " from agent " .. rfrom[at]
    end
  end
  local k = 0
  if id > 0 then
    fault.agent = id
    k = world.roster.type_of[id]
    fault.agent_type = world.program.types[k].name
  end
  if type(err) == "table" and not scripts and err.rank then index, k = err.rank[1], err.rank[2] end
  if world.dumping then k = 0 end     -- shards are blocks of ids, of whatever type
  fault.order = {phase, index, k, id, nth}
  return fault
end

-- Loading ----------------------------------------------------------------------------------------

local function load_types(settings)
  local program = world.program
  local handlers = {}
  world.steps, world.inits, world.envs, world.guards = {}, {}, {}, {}
  for k, t in ipairs(program.types) do
    local extra = {}
    for name, f in pairs(world.api) do extra[name] = f end
    extra.param = world.param
    local env = D.sandbox.environment(extra)
    world.envs[k] = env
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

local function compile_fields()
  world.fields = {}
  for k, t in ipairs(world.program.types) do
    local list = {}
    for j, f in ipairs(t.state or {}) do
      local text = "local __R=... local __Q,__X,__L,__P,__D,__C,__BA,__BO,__BX,__BN,__SL,__SR=__R.Q,__R.X,__R.L,__R.P,__R.D,__R.C,__R.BA,__R.BO,__R.BX,__R.BN,__R.SL,__R.SR return function(i) return ("
        .. f.code .. ") end"
      local chunk, why = load(text, "=expression", "t", world.expression_env)
      if not chunk then error("initial field '" .. f.field .. "': " .. why, 0) end
      list[j] = {name = f.field, line = f.line, value = chunk(world.rt)}
    end
    world.fields[k] = list
  end
end

-- The environment of expressions: the library, parameters by name, `param`, `tick`.
local function expression_environment(parameters)
  local env = {}
  for name, v in pairs(world.lib) do env[name] = v end
  for name, f in pairs(world.draws) do env[name] = f end
  for name, v in pairs(parameters) do env[name] = v end
  env.param = world.param
  env.tick = 0
  return env
end

local function prepare(settings)
  local program = settings.program
  local index = {}
  for k, name in ipairs(program.kinds) do index[name] = k end
  for _, shape in ipairs(program.shapes) do shape.kind = index[shape.kind] end
  world = {
    program = program, tick = settings.tick, seed = settings.seed, fuel = settings.fuel,
    me = settings.worker, workers = settings.workers, later = {}, samples = {}, record_count = 0,
    spawns = {}, removals = {}, logs = {}, carried = 0, bound = 0, alive_at_start = {},
    kind_index = {}, type_index = {}, alias = {}, metric_names = {}, record_names = {},
    context = "init",
  }
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
  world.api = api
  D.later = world.later
  -- the plan
  local text, own, shared, kind_of_shape = D.plan.generate(program, world.takers)
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
  world.expression_env = expression_environment(settings.parameters)
  local handlers = load_types(settings)
  local dispatch = {}
  for t = 1, #program.types do dispatch[t] = {} end
  for s = 1, #kind_of_shape do P.links[s](handlers, dispatch) end
  world.dense, world.sparse, world.undelivered = {}, {}, {}
  world.sparse_allowed = true
  for t = 1, #program.types do
    world.dense[t], world.sparse[t], world.undelivered[t] = P.turns[t](dispatch[t], world.steps[t], program.types[t].name)
    if world.steps[t] then world.sparse_allowed = false end
  end
  world.compile_fields = compile_fields
  compile_fields()
  world.expressions = D.expressions.new(world, world.expression_env, world.rt)
  world.memory_limit = settings.memory_bytes
end

-- Creating agents ----------------------------------------------------------------------------------

local function fill(self, k, i, id, parent, given)
  self.id, self.type = id, world.program.types[k].name
  for _, f in ipairs(world.fields[k]) do
    if given == nil or given[f.name] == nil then
      world.field = f
      local v = f.value(i)
      if type(v) == "table" or type(v) == "function" then
        error("gives a " .. type(v) .. "; it may give a number, a string, a boolean or nil", 0)
      end
      self[f.name] = v
    end
  end
  world.field = nil
  if given then
    for name, v in pairs(given) do self[name] = v end
  end
  if parent then self.parent = parent end
end

local function create(k, id, slot, i, parent, given)
  local P = world.plan
  P.begin(id)
  local self = given or {}
  world.context = "init"
  fill(self, k, i, id, parent, given)
  world.roster.selves[slot] = self
  local init = world.inits[k]
  if init then init(self) end
  if self.id ~= id or self.type ~= world.program.types[k].name then error("init assigned self.id or self.type: the engine owns them; use another field name", 0) end
end

local function check_guards()
  for k = 1, #world.guards do
    local changed = world.guards[k].changed()
    if changed then
      -- after all faults of agents: the workers that have none look here too
      local message = "agents/" .. world.program.types[k].name .. ".lua: " .. changed
      error({kind = "script", message = message, rank = {1, k}}, 0)
    end
  end
end

-- The turns of one tick ------------------------------------------------------------------------------

local function begin_tick(tick)
  world.tick = tick
  world.crumb[1] = tick % 2147483648
  world.expression_env.tick = tick
  world.rng.at(world.seed, tick)
  world.samples, world.record_count = {}, 0
  world.spawner, world.logger = 0, 0
end

local function creation()
  local roster = world.roster
  local born = {}
  for k = 1, #world.program.types do
    local from = roster.base[k]
    local first = 1
    for j = 1, k - 1 do first = first + roster.born[j] end
    for slot = from + 1, from + roster.count[k] do
      local id = roster.ids[slot]
      create(k, id, slot, id - first + 1)
    end
  end
end

-- Slots, ascending, of the newborns that called remove() in their init: they have no turn any more,
-- and are taken away at this tick's close.
local NOBODY = {}

local function leaving()
  if #world.removals == 0 then return NOBODY end
  local slots, roster = {}, world.roster
  for _, id in ipairs(world.removals) do slots[#slots + 1] = roster.where[id] end
  sort(slots)
  return slots
end

-- Calls run(lo, hi) for the parts of lo..hi between the places where slot_at says one of `without`
-- (ascending). Returns how many messages the agents left out had, by mail_at(place).
local function run_without(without, lo, hi, slot_at, mail_at, run)
  local lost, next_one = 0, 1
  for at = lo, hi do
    if not without[next_one] then break end
    local slot = slot_at(at)
    while without[next_one] and without[next_one] < slot do next_one = next_one + 1 end
    if without[next_one] == slot then
      lost = lost + mail_at(at)
      if at > lo then run(lo, at - 1) end
      lo = at + 1
    end
  end
  if lo <= hi then run(lo, hi) end
  return lost
end

local function same_slot(at) return at end

local function turns(tick)
  local roster, P, mail = world.roster, world.plan, world.mail
  mail.open(tick)
  local count, touched = mail.sort(world.sparse_allowed)
  local undelivered = 0
  local without = leaving()
  world.context = "step"
  if touched then
    local from, many = 1, #touched
    for k = 1, #world.dense do
      local last = roster.base[k] + roster.count[k]
      local to = from
      while to <= many and touched[to] <= last do to = to + 1 end
      if to > from then
        undelivered = undelivered + run_without(without, from, to - 1,
          function(at) return touched[at] end, mail.mail_at,
          function(lo, hi) world.sparse[k](touched, lo, hi) end) + world.undelivered[k]()
      end
      from = to
    end
  elseif count > 0 or not world.sparse_allowed then
    for k = 1, #world.dense do
      if roster.count[k] > 0 and (count > 0 or world.steps[k]) then
        undelivered = undelivered + run_without(without, roster.base[k] + 1, roster.base[k] + roster.count[k],
          same_slot, mail.mail_at, world.dense[k]) + world.undelivered[k]()
      end
    end
  end
  mail.dead = mail.dead + undelivered
  mail.delivered = mail.delivered + count - undelivered
end

-- Changes --------------------------------------------------------------------------------------------

-- Spawns in agent order of the parents; those asked for in an init at the last close come among them.
local function ordered(spawns)
  local type_of = world.roster.type_of
  for j, s in ipairs(spawns) do s.at = j end
  sort(spawns, function(a, b)
    local p, q = a[1], b[1]
    if p ~= q then
      if type_of[p] ~= type_of[q] then return type_of[p] < type_of[q] end
      return p < q
    end
    return a.at < b.at
  end)
  return spawns
end

-- Applies removals (ids) and spawns ({parent, type, fields}, in order) everywhere; creates mine.
local function apply(removals, spawns, new_shards)
  local roster, P = world.roster, world.plan
  local mine = {}
  for j = 1, #removals do
    if roster.where[removals[j]] > 0 then mine[#mine + 1] = removals[j] end
  end
  world.mail.removed(mine)
  roster.remove(removals)
  local kinds = {}
  for j = 1, #spawns do kinds[j] = spawns[j][2] end
  local given, index = roster.add(kinds, new_shards)
  local here = {}
  for j = 1, #spawns do
    if roster.where[given[j]] > 0 then here[#here + 1] = j end
  end
  sort(here, function(a, b)
    if kinds[a] ~= kinds[b] then return kinds[a] < kinds[b] end
    return given[a] < given[b]
  end)
  for _, j in ipairs(here) do
    local id = given[j]
    create(kinds[j], id, roster.where[id], index[j], spawns[j][1], spawns[j][3])
  end
  world.crumb[0] = 0
end

local function end_of_tick()
  world.bound = world.roster.last_id
  for k = 1, #world.alive_at_start do world.alive_at_start[k] = world.roster.alive[k] end
end

-- How many shards the newborns open, beyond those that exist.
local function new_shards(count)
  local roster = world.roster
  local need = floor((roster.last_id + count - 1) / roster.shard_size) + 1
  return need - #roster.placement
end

local function close_alone()
  local removals, spawns = world.removals, world.spawns
  world.mail.removed({})
  if #removals > 0 or #spawns > 0 then
    world.removals, world.spawns = {}, {}
    local shards = {}
    for j = 1, new_shards(#spawns) do shards[j] = 0 end
    apply(removals, ordered(spawns), shards)
  end
  return #spawns, #removals
end

-- Rows, logs and the rest of an answer ------------------------------------------------------------------

local function note_names(samples)
  for name in pairs(samples) do
    local known = false
    for _, have in ipairs(world.record_names) do
      if have == name then known = true end
    end
    if not known then
      world.record_names[#world.record_names + 1] = name
      sort(world.record_names)
    end
  end
end

local function write_row(tick, row, names)
  local w = world.rows
  if not w then
    w = codec.writer()
    world.rows, world.row_count = w, 0
  end
  world.row_count = world.row_count + 1
  w:array(2)
  w:int(tick)
  w:map(#names)
  for _, name in ipairs(names) do
    w:str(name)
    w:value(row[name])
  end
end

-- Settles a tick from merged partials; returns how it ends the run and a fault for an invariant.
local function settle(tick, partials, samples)
  note_names(samples)
  if world.expressions.empty() and #world.record_names == 0 then return "", "", nil end
  local row, names, stopped, by, broken = world.expressions.settle(tick, partials, samples)
  if world.me == 0 and #names > 0 then write_row(tick, row, names) end
  local fault = nil
  if broken then
    local values = {}
    for _, name in ipairs(names) do
      if #values < 8 then values[#values + 1] = name .. " = " .. world.tostring(row[name]) end
    end
    fault = {kind = "invariant", tick = tick, file = "model.toml", line = broken.line, handler = broken.name,
      message = "the invariant '" .. broken.name .. "' does not hold at the end of tick " .. tick,
      locals = concat(values, "; "), order = {4, 0, 0, 0, 0}}
  end
  return stopped, by, fault
end

-- Bytes of a text in a report: a script may throw a string of a megabyte.
local MAX_REPORT = 4000

local function write_fault(w, f)
  local names = {"kind", "message", "tick", "agent", "agent_type", "file", "line", "handler", "handling", "locals", "order"}
  local present = {}
  for _, name in ipairs(names) do
    if f[name] ~= nil then present[#present + 1] = name end
  end
  w:map(#present)
  for _, name in ipairs(present) do
    local v = f[name]
    w:str(name)
    if type(v) == "string" then v = D.text.readable(D.text.cut(v, MAX_REPORT)) end
    w:value(v)
  end
end

local answer_writer = nil

-- The head of an answer, as one msgpack array; see host.py, which reads it.
local function answer(a)
  local w = answer_writer or codec.writer()
  answer_writer = w
  w:reset()
  w:array(15)
  w:int(a.tick)
  w:array(#a.out)
  for j = 1, #a.out do w:int(a.out[j]) end
  w:bin(a.changes or "")
  w:int(a.spawned or 0)
  w:int(a.removed or 0)
  w:bin(a.partials or "")
  w:int(world.row_count or 0)
  local rows = world.rows
  w:bin(rows and rows:result() or "")
  world.rows, world.row_count = nil, 0
  local logs = world.logs
  if #logs > 0 then
    local l = codec.writer()
    l:value(logs)
    w:bin(l:result())
    world.logs = {}
  else
    w:bin("")
  end
  w:array(3)
  local mail = world.mail
  w:int(mail and mail.sent + world.plan.sent() or 0)
  w:int(mail and mail.delivered or 0)
  w:int(mail and mail.dead or 0)
  local count = world.roster and world.roster.count or {}
  w:array(#count)
  for k = 1, #count do w:int(count[k]) end
  w:str(a.ended or "")
  w:int(a.ended_tick or -1)
  w:str(a.ended_by or "")
  if a.fault then write_fault(w, a.fault) else w:value(nil) end
  return w:result()
end

-- One body for every order: runs f; a fault anywhere in it becomes the answer.
local phase = 1
local function guarded(tick, f)
  local result
  local ok, report = xpcall(function() result = f() end, on_error)
  if ok then return result end
  local fault = fault_of(report, phase)
  D.sandbox.reset()
  if world then
    -- a simulation lives on after a question that failed
    world.expression, world.expression_slot, world.expression_about = nil, 0, nil
    world.dumping, world.field = nil, nil
    if world.crumb then world.crumb[0] = 0 end
  end
  return {tick = tick, out = {}, fault = fault, batches = {}}
end

local function reply(a)
  local batches = a.batches or {}
  local blobs = {}
  for j = 1, #batches do
    a.out[j] = batches[j][1]
    blobs[j] = batches[j][2]
  end
  return answer(a), unpack(blobs)
end

-- The functions of the host --------------------------------------------------------------------------------

function K.load(bytes)
  phase = 1
  local settings = codec.decode(bytes, 1)
  return reply(guarded(-1, function()
    prepare(settings)
    return {tick = settings.tick, out = {}}
  end))
end

-- The roster and the shards of a dump; after K.load with the tick they speak of.
function K.restore(roster_bytes)
  return reply(guarded(world.tick, function()
    local data = codec.decode(roster_bytes, 1)
    world.roster.restore(data[1])
    world.record_names = data[2]
    end_of_tick()
    return {tick = world.tick, out = {}}
  end))
end

function K.restore_shard(bytes)
  return reply(guarded(world.tick, function()
    D.state.load(world, bytes)
    return {tick = world.tick, out = {}}
  end))
end

function K.set_until(bytes)
  return reply(guarded(world.tick, function()
    phase = 4
    world.expressions.set_until(bytes ~= "" and codec.decode(bytes, 1) or nil)
    return {tick = world.tick, out = {}}
  end))
end

-- A batch from another worker. Phase 1: sent in turns; 2: by newborns.
function K.arrive(source, from_newborns, bytes)
  world.mail.arrive(source, from_newborns and 2 or 1, bytes)
end

local function run_one(tick)
  phase = 1
  begin_tick(tick)
  if tick == 0 then creation() else turns(tick) end
  world.crumb[0] = 0
  check_guards()
  world.mail.end_turns()
  world.mail.set_bound(world.bound)
end

local function partial_bytes(tick)
  phase = 3
  if world.expressions.empty() and #world.record_names == 0 and world.record_count == 0 then return "" end
  local partials = world.expressions.partials(tick)
  local names = {}
  for name in pairs(world.samples) do names[#names + 1] = name end
  sort(names)
  local w = codec.writer()
  world.expressions.write(w, partials, world.samples, names)
  return w:result()
end

-- Ticks first..last on the only worker. Returns at the first ending or fault.
function K.run(first, last)
  local done = first - 1
  local answered = guarded(first - 1, function()
    local result = {out = {}, spawned = 0, removed = 0}
    for tick = first, last do
      run_one(tick)
      phase = 2
      local spawned, removed = close_alone()
      result.spawned, result.removed = result.spawned + spawned, result.removed + removed
      phase = 3
      if not world.expressions.empty() or #world.record_names > 0 or world.record_count > 0 then
        local partials = world.expressions.partials(tick)
        phase, done = 4, tick
        local stopped, by, fault = settle(tick, partials, world.samples)
        if stopped ~= "" then
          result.ended, result.ended_by, result.ended_tick, result.fault = stopped, by, tick, fault
        end
      end
      end_of_tick()
      done = tick
      if result.ended then break end
      if world.memory_limit > 0 and collectgarbage("count") * 1024 > world.memory_limit * 0.7 then collectgarbage("collect") end
    end
    return result
  end)
  answered.tick = done                -- after a fault too: the ticks before it are closed
  return reply(answered)
end

-- One tick of several workers, up to the barrier.
function K.step(tick)
  return reply(guarded(tick, function()
    run_one(tick)
    world.mail.removed({})
    local n = world.plan.sent_count()
    local result = {tick = tick, out = {}, batches = world.mail.export(1, n)}
    local removals, spawns = world.removals, world.spawns
    if #removals > 0 or #spawns > 0 then
      world.removals, world.spawns = {}, {}
      ordered(spawns)
      local w = codec.writer()
      w:array(2)
      w:array(#removals)
      for j = 1, #removals do w:int(removals[j]) end
      w:array(#spawns)
      for j = 1, #spawns do
        w:array(3); w:int(spawns[j][1]); w:int(spawns[j][2]); w:value(spawns[j][3])
      end
      result.changes, result.spawned, result.removed = w:result(), #spawns, #removals
    else
      -- kept apart: when another worker has changes, the tick goes on, and is evaluated again
      local evaluated = guarded(tick, function() return {bytes = partial_bytes(tick)} end)
      result.partials, result.fault = evaluated.bytes, evaluated.fault
    end
    end_of_tick()
    if world.memory_limit > 0 and collectgarbage("count") * 1024 > world.memory_limit * 0.7 then collectgarbage("collect") end
    return result
  end))
end

-- The second round: everybody's changes. `workers` lists the hosts of the new shards.
function K.close(tick, placement, ...)
  local blobs = {...}
  return reply(guarded(tick, function()
    phase = 2
    local removals, spawns = {}, {}
    for j = 1, #blobs do
      if blobs[j] ~= "" then
        local changes = codec.decode(blobs[j], 1)
        for q = 1, #changes[1] do removals[#removals + 1] = changes[1][q] end
        for q = 1, #changes[2] do spawns[#spawns + 1] = changes[2][q] end
      end
    end
    local before = world.plan.sent_count()
    apply(removals, ordered(spawns), codec.decode(placement, 1))
    check_guards()
    local result = {tick = tick, out = {}, batches = world.mail.export(before + 1, world.plan.sent_count())}
    result.partials = partial_bytes(tick)
    end_of_tick()
    return result
  end))
end

-- Merged evaluation of a closed tick, on every worker alike.
function K.settle(tick, ...)
  local blobs = {...}
  return reply(guarded(tick, function()
    phase = 3
    local all, samples = nil, {}
    for j = 1, #blobs do
      if blobs[j] ~= "" then
        local partials, recorded = world.expressions.read(blobs[j])
        if all then world.expressions.merge(all, partials) else all = partials end
        for name, s in pairs(recorded) do
          local into = samples[name]
          if into then
            aggregate.merge(into.mean, s.mean); aggregate.merge(into.sum, s.sum)
            aggregate.merge(into.min, s.min); aggregate.merge(into.max, s.max)
          else
            samples[name] = s
          end
        end
      end
    end
    phase = 4
    local stopped, by, fault = settle(tick, all or {}, samples)
    return {tick = tick, out = {}, ended = stopped, ended_by = by, ended_tick = stopped ~= "" and tick or -1, fault = fault}
  end))
end

-- Canonical bytes of a shard (1-based). K.dump_begin(tick) first, K.dump_end() after the last.
function K.dump_begin(tick)
  return reply(guarded(tick, function()
    phase = 2
    world.boxes = world.mail.waiting_by_slot(tick)
    return {tick = tick, out = {}}
  end))
end

function K.dump(shard)
  local bytes
  local head = reply(guarded(world.tick, function()
    bytes = D.state.dump(world, shard, world.boxes)
    return {tick = world.tick, out = {}}
  end))
  return head, bytes
end

function K.dump_end()
  world.boxes = nil
end

function K.roster()
  local w = codec.writer()
  w:array(2)
  world.roster.write(w)
  w:value(world.record_names)
  return w:result()
end

function K.query(bytes)
  local result
  local head = reply(guarded(world.tick, function()
    phase = 3
    result = D.query.run(world, codec.decode(bytes, 1))
    return {tick = world.tick, out = {}}
  end))
  return head, result
end

function K.combine(bytes, ...)
  local parts = {...}
  local result
  local head = reply(guarded(world.tick, function()
    phase = 3
    result = D.query.combine(world, codec.decode(bytes, 1), parts)
    return {tick = world.tick, out = {}}
  end))
  return head, result
end

-- The compiler's message for a source that is not Lua, or "".
function K.syntax(source, name)
  local chunk, why = load(source, name, "t", {})
  return chunk and "" or why
end

-- The value of an expression over parameters alone (counts). Returns ok, number or message.
function K.constant(code, name, parameters_bytes)
  local parameters = codec.decode(parameters_bytes, 1)
  local env = {}
  for key, v in pairs(D.sandbox.lib) do env[key] = v end
  for key, v in pairs(parameters) do env[key] = v end
  env.param = parameters
  local rt = D.sandbox.rt
  rt.Q.n = 1000000
  local text = "local __R=... local __Q,__X,__L,__P,__D,__C,__BA,__BO,__BX,__BN,__SL,__SR=__R.Q,__R.X,__R.L,__R.P,__R.D,__R.C,__R.BA,__R.BO,__R.BX,__R.BN,__R.SL,__R.SR return ("
    .. code .. ")"
  local chunk, why = load(text, "=expression", "t", env)
  if not chunk then return false, why end
  local ok, value = pcall(chunk, rt)
  if not ok then return false, (gsub(tostring(value), "^expression:%d+: ", "")) end
  if type(value) ~= "number" then return false, "gives " .. (value == nil and "nil" or "a " .. type(value)) .. ", where a number is needed" end
  return true, value
end

return K
