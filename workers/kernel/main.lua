-- The kernel's table of functions, as the host calls it: bytes and numbers in, bytes and numbers out.
--
-- One kernel hosts one worker's share of one simulation. `world` is the record that its parts share.

local D = ...
local codec, aggregate = D.codec, D.aggregate
local faults, loading, population, turns, answers = D.faults, D.loading, D.population, D.turns, D.answers
local type, tostring, xpcall, load, pairs, pcall = type, tostring, xpcall, load, pairs, pcall
local sort, gsub, collectgarbage = table.sort, string.gsub, collectgarbage
local unpack = unpack or table.unpack

local K = {}
local world = nil

-- One body for every order: runs f; a fault anywhere in it becomes the answer.
local phase = 1

local function guarded(tick, f)
  local result
  local ok, report = xpcall(function() result = f() end, faults.on_error)
  if ok then return result end
  local fault = faults.fault_of(world, report, phase)
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
  return answers.answer(world, a), unpack(blobs)
end

-- The functions of the host --------------------------------------------------------------------------------

function K.load(bytes)
  phase = 1
  local settings = codec.decode(bytes, 1)
  return reply(guarded(-1, function()
    world = {}
    loading.prepare(world, settings)
    return {tick = settings.tick, out = {}}
  end))
end

-- The roster and the shards of a dump; after K.load with the tick they speak of.
function K.restore(roster_bytes)
  return reply(guarded(world.tick, function()
    local data = codec.decode(roster_bytes, 1)
    world.roster.restore(data[1])
    world.record_names = data[2]
    world.replica.read(data[3])
    population.end_of_tick(world)
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

local live = 0                      -- kB in use after creation, or after the last whole collection
local SLACK = 65536

-- The collector lets garbage grow to the size of what lives; before the limit there is not room for that. And the
-- JIT's code looks after garbage only where it makes a table: long lists that grow in every tick leave it behind.
local function collect_when_full()
  local limit, now = world.memory_limit, collectgarbage("count")
  if live == 0 then live = now end  -- after creation nearly all of it lives
  if now > 4 * live + SLACK or (limit > 0 and now * 1024 > limit * 0.7) then
    collectgarbage("collect")
    live = collectgarbage("count")
  end
end

local function run_one(tick)
  phase = 1
  turns.begin_tick(world, tick)
  if tick == 0 then
    turns.creation(world)
  elseif world.sequential then
    world.sequential.turns(tick)
  else
    turns.turns(world, tick)
  end
  world.crumb[0] = 0
  if world.shown.exists and not world.sequential then world.changes.shown = world.shown.compare() end
  population.check_guards(world)
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
  local closed = {sent = 0, delivered = 0, dead = 0, agents = {}}
  local answered = guarded(first - 1, function()
    local result = {out = {}, spawned = 0, removed = 0}
    for tick = first, last do
      answers.count(world, closed)
      run_one(tick)
      phase = 2
      local spawned, removed
      if world.sequential then
        spawned, removed = world.sequential.close(tick)
      else
        spawned, removed = population.close_alone(world)
      end
      result.spawned, result.removed = result.spawned + spawned, result.removed + removed
      phase = 3
      if not world.expressions.empty() or #world.record_names > 0 or world.record_count > 0 then
        local partials = world.expressions.partials(tick)
        phase, done = 4, tick
        local stopped, by, fault = answers.settle(world, tick, partials, world.samples)
        if stopped ~= "" then
          result.ended, result.ended_by, result.ended_tick, result.fault = stopped, by, tick, fault
        end
      end
      population.end_of_tick(world)
      done = tick
      if result.ended then break end
      collect_when_full()
    end
    return result
  end)
  answered.tick = done                -- after a fault too: the ticks before it are closed
  if answered.fault and not answered.ended then answered.counted = closed end
  return reply(answered)
end

-- One tick of several workers, up to the barrier.
function K.step(tick)
  return reply(guarded(tick, function()
    run_one(tick)
    world.mail.removed({})
    local n = world.plan.sent_count()
    local result = {tick = tick, out = {}, batches = world.mail.export(1, n)}
    if population.has_changes(world) then
      local removals, spawns, taken = population.take(world)
      local w = codec.writer()
      w:array(3)
      w:array(#removals)
      for j = 1, #removals do w:int(removals[j]) end
      w:array(#spawns)
      for j = 1, #spawns do
        w:array(6)
        for q = 1, 6 do w:value(spawns[j][q]) end
      end
      world.changes.write(w, taken)
      result.changes, result.spawned, result.removed = w:result(), #spawns, #removals
    else
      -- kept apart: when another worker has changes, the tick goes on, and is evaluated again
      local evaluated = guarded(tick, function() return {bytes = partial_bytes(tick)} end)
      result.partials, result.fault = evaluated.bytes, evaluated.fault
    end
    population.end_of_tick(world)
    collect_when_full()
    return result
  end))
end

-- The second round: everybody's changes. `workers` lists the hosts of the new shards.
function K.close(tick, placement, ...)
  local blobs = {...}
  return reply(guarded(tick, function()
    phase = 2
    local removals, spawns, streams = {}, {}, {}
    for j = 1, #blobs do
      if blobs[j] ~= "" then
        local gone, born
        local _, pos = codec.array_header(blobs[j], 1)
        gone, pos = codec.decode(blobs[j], pos)
        born, pos = codec.decode(blobs[j], pos)
        streams[#streams + 1] = world.changes.read(blobs[j], pos, #streams + 1)
        for q = 1, #gone do removals[#removals + 1] = gone[q] end
        for q = 1, #born do spawns[#spawns + 1] = born[q] end
      end
    end
    local before = world.plan.sent_count()
    population.apply(world, removals, population.ordered(world, spawns), codec.decode(placement, 1), streams)
    population.check_guards(world)
    local result = {tick = tick, out = {}, batches = world.mail.export(before + 1, world.plan.sent_count())}
    result.partials = partial_bytes(tick)
    population.end_of_tick(world)
    collect_when_full()
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
    local stopped, by, fault = answers.settle(world, tick, all or {}, samples)
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
  local bytes
  local head = reply(guarded(world.tick, function()
    local w = codec.writer()
    w:array(3)
    world.roster.write(w)
    w:value(world.record_names)
    w:bin(world.replica.write())
    bytes = w:result()
    return {tick = world.tick, out = {}}
  end))
  return head, bytes
end

-- The canonical bytes of what every worker has a copy of; "" for a model that has nothing of it.
function K.replica()
  local bytes
  local head = reply(guarded(world.tick, function()
    phase = 2
    bytes = world.replica.write()
    return {tick = world.tick, out = {}}
  end))
  return head, bytes
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
  D.fuel.n = 1000000
  local ok, value = pcall(function() return D.compile.expression(env, name, "", code)() end)
  if not ok then return false, (gsub(tostring(value), "^expression:%d+: ", "")) end
  if type(value) ~= "number" then return false, "gives " .. (value == nil and "nil" or "a " .. type(value)) .. ", where a number is needed" end
  return true, value
end

return K
