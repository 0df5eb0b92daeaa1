-- The environment's script: its state, what agents see of it, and the mail to it and from it.
--
-- Every worker runs this script on the same messages in the same order, so every worker has the same state
-- and agents read it where they are. What it sends is put into the calendars of the recipients' hosts: no
-- message leaves a worker. Of its logs, records and counts only worker 0's are reported.

local D = ...
local codec = D.codec
local error, pairs, ipairs, select, load, getmetatable, type, pcall = error, pairs, ipairs, select, load, getmetatable, type, pcall
local concat, sort = table.concat, table.sort
local cut, readable = D.text.cut, D.text.readable

local M = {}

local ADVICE = ' is read-only for agents: send("environment", kind, body) asks for a change'

-- world: see main.lua; its `api` gives what agents may do, of which the environment gets a part.
function M.new(world)
  local program = world.program.environment
  local R, rng, crumb, Q = world.roster, world.rng, world.crumb, world.rt.Q
  local limits = D.api.LIMITS
  local E = {state = {}, calendar = {}, spawns = {}, has_step = false}
  local state, handlers = E.state, {}
  local init, step, watched = nil, nil, nil
  local sent_now, logged, drawn = 0, 0, 0

  -- Where the table `wanted` stands below `t`, which a script writes as `path`: by sorted keys, so that it is
  -- found alike everywhere. nil for a table that is no longer there.
  local function path_to(wanted, t, path, seen)
    if t == wanted then return path end
    seen[t] = true
    for _, key in ipairs(codec.sorted_keys(t) or {}) do
      local inner = t[key]
      if type(inner) == "table" and not seen[inner] then
        local found = path_to(wanted, inner, path .. D.sandbox.shown_key(key), seen)
        if found then return found end
      end
    end
  end

  local function refuse(t, key)
    D.meter.fail((path_to(t, state, "env", {}) or "a table of env, at ") .. key .. ADVICE)
  end

  -- What agents and expressions hold as `env`.
  local asked = {}
  E.view = D.sandbox.view(state, D.sandbox.new_views(refuse))
  do
    local shown = E.view
    local look = getmetatable(shown).__index
    getmetatable(shown).__index = function(t, k)
      local q = asked[k]
      if q ~= nil then return q end
      return look(t, k)
    end
  end

  local function deny(message) error(message, 0) end

  -- What changes something may be called by init, step and handlers; a query runs in an agent's turn.
  local function acting(name)
    if not world.env_active then
      deny(name .. " cannot be called in a query: a query only reads; do it in step or in a handler of environment.lua")
    end
  end

  -- Sending ------------------------------------------------------------------------------------------

  local function next_sent()
    sent_now = sent_now + 1
    if sent_now > limits.sends then
      world.limit_hit = "the environment may send at most " .. limits.sends .. " messages in one tick (a broadcast counts as one here)"
      deny(world.limit_hit)
    end
    return sent_now
  end

  -- Mail to the environment that waits for the close of tick `due`.
  function E.post_at(due, from, k, body)
    local day = E.calendar[due]
    if not day then day = {}; E.calendar[due] = day end
    day[#day + 1] = {from, k, body, world.tick}
  end

  -- An agent's with delay 1 is for the close of the tick it is sent in, the environment's own for the next.
  function E.post(from, k, body, delay)
    E.post_at(world.tick + delay - (from == 0 and 0 or 1), from, k, body)
  end

  local api = {}

  function api.send(to, kind, body, delay)
    acting("send")
    local k = world.inner.kind_index(kind)
    local id = world.inner.recipient(to)
    local handled_now = delay == nil and world.sequential and world.tick > 0
    if delay == nil then delay = 1 else world.inner.whole_delay(delay) end
    local copy = world.inner.copied(body)
    if id == 0 then
      if not handlers[kind] then world.inner.environment_lacks(kind) end
      if world.me == 0 then world.mail.sent = world.mail.sent + 1 end
      E.post(0, k, copy, delay)
      return
    end
    if not world.takers[k][R.type_of[id]] then world.inner.unhandled(id, k) end
    local seq = next_sent()
    if handled_now then
      world.sequential.enqueue(id, k, copy, seq)
    else
      world.mail.from_world(id, k, copy, world.tick + delay, seq, world.tick)
    end
  end

  function api.after(delay, kind, body)
    world.inner.whole_delay(delay)
    api.send(0, kind, body, delay)
  end

  function api.broadcast(name, kind, body, delay)
    acting("broadcast")
    local k = world.inner.kind_index(kind)
    local t = world.inner.broadcast_type(name, k)
    local handled_now = delay == nil and world.sequential and world.tick > 0
    if delay == nil then delay = 1 else world.inner.whole_delay(delay) end
    local seq = next_sent()
    local copy = world.inner.copied(body)
    if handled_now then
      world.sequential.enqueue(-t, k, copy, seq)
      return
    end
    world.mail.from_world_to_all(t, k, copy, world.tick + delay, seq, world.tick)
  end

  -- Other actions -----------------------------------------------------------------------------------

  function api.spawn(name, fields, x, y, z)
    acting("spawn")
    local spawn = world.inner.new_spawn(0, name, fields, x, y, z)
    if #E.spawns >= limits.spawns then
      world.limit_hit = "the environment may spawn at most " .. limits.spawns .. " agents in one tick"
      deny(world.limit_hit)
    end
    E.spawns[#E.spawns + 1] = spawn
  end

  function api.record(name, value)
    acting("record")
    if world.me == 0 then world.api.record(name, value) end
  end

  function api.log(...)
    acting("log")
    logged = logged + 1
    if logged > limits.logs then
      world.limit_hit = "the environment may log at most " .. limits.logs .. " lines in one tick"
      deny(world.limit_hit)
    end
    if world.me ~= 0 then return end
    local parts = {}
    for j = 1, select("#", ...) do parts[j] = world.tostring((select(j, ...))) end
    world.logs[#world.logs + 1] = {world.tick, 0, 0, logged, readable(cut(concat(parts, "\t"), limits.log_bytes))}
  end
  api.print = api.log

  -- Running ------------------------------------------------------------------------------------------

  -- Runs one function of the script with the environment's fuel and stream, within any agent's turn.
  local function run(context, f, ...)
    local agent, left = crumb[0], Q.n
    local id, count = rng.save()
    local was, was_context = world.env_active, E.context
    crumb[0], Q.n = 0, world.program.environment_fuel
    world.env_active, E.context = true, context
    local deferring = world.deferring
    world.deferring = false
    rng.resume(0, drawn)
    local answer = f(state, ...)
    local _
    _, drawn = rng.save()
    world.deferring = deferring
    world.env_active, E.context = was, was_context
    crumb[0], Q.n = agent, left
    rng.resume(id, count)
    return answer
  end
  E.run = run

  function E.begin_tick()
    sent_now, logged, drawn = 0, 0, 0
    E.handling = nil
  end

  function E.handle(from, k, body)
    local kind = world.program.kinds[k]
    E.handling = {kind, body, from}
    local answer = run("on." .. kind, handlers[kind], body, from)
    E.handling = nil
    return answer
  end

  function E.handles(kind) return handlers[kind] ~= nil end

  function E.init()
    if init then run("init", init) end
  end

  -- By sent tick, then sender in agent order with the environment first; what one sent stays in its order.
  local function in_reading_order(day)
    local type_of, at = R.type_of, {}
    for j, one in ipairs(day) do at[one] = j end
    sort(day, function(a, b)
      if a[4] ~= b[4] then return a[4] < b[4] end
      local p, q = a[1], b[1]
      if p == q then return at[a] < at[b] end
      if type_of[p] ~= type_of[q] then return type_of[p] < type_of[q] end
      return p < q
    end)
    return day
  end

  -- The mail that waited for this tick's close, from earlier ticks.
  function E.take_due(tick)
    local day = E.calendar[tick]
    E.calendar[tick] = nil
    for _, one in ipairs(day and in_reading_order(day) or {}) do
      if world.me == 0 then world.mail.delivered = world.mail.delivered + 1 end
      E.handle(one[1], one[2], one[3])
    end
  end

  function E.step()
    if step then run("step", step) end
  end

  -- Mail to the environment that waits for a later close: what every worker knows of is told by the first, what
  -- newborns sent as a tick closed by their hosts.
  function world.mail.to_environment(kind, tick, visit)
    local total = 0
    local function count(from, k, body, sent)
      if k ~= kind then return end
      total = total + 1
      if visit then visit(body, 1, from, sent) end
    end
    if world.me == 0 then
      for _, day in pairs(E.calendar) do
        for _, one in ipairs(day) do count(one[1], one[2], one[3], one[4]) end
      end
    end
    local asked = world.changes.mail
    for j = 1, asked.n do count(asked.id[j], asked.kind[j], asked.body[j], tick) end
    return total
  end

  function E.changed() return watched and watched.changed() end

  -- Bytes ---------------------------------------------------------------------------------------------

  -- Codec reports speak of self.
  local function write_state(w)
    world.dumping = 0
    local ok, why = pcall(w.state, w, state, {})
    if not ok then
      if type(why) == "table" and why.path then why.path = "env" .. string.sub(why.path, 5) end
      error(why, 0)
    end
    world.dumping = nil
  end

  function E.write(w)
    w:array(3)
    write_state(w)
    local dues = {}
    for due in pairs(E.calendar) do dues[#dues + 1] = due end
    sort(dues)
    w:array(#dues)
    for _, due in ipairs(dues) do
      local day = E.calendar[due]
      w:array(1 + #day)
      w:int(due)
      for _, one in ipairs(in_reading_order(day)) do
        w:array(4)
        w:int(one[1])
        w:str(world.program.kinds[one[2]])
        w:value(one[3])
        w:int(one[4])
      end
    end
    w:array(#E.spawns)
    for _, s in ipairs(E.spawns) do w:value({world.program.types[s[2]].name, s[3], s[4], s[5], s[6]}) end
  end

  -- The state's table stays the one that views show: what led to `loaded` leads to it.
  local function adopt(t, loaded, seen)
    seen[t] = true
    for k, v in pairs(t) do
      if v == loaded then
        t[k] = state
      elseif type(v) == "table" and not seen[v] then
        adopt(v, loaded, seen)
      end
    end
  end

  function E.read(bytes, pos)
    local loaded, days, born, _
    _, pos = codec.array_header(bytes, pos)
    loaded, pos = codec.decode_state(bytes, pos)
    days, pos = codec.decode(bytes, pos)
    born, pos = codec.decode(bytes, pos)
    adopt(loaded, loaded, {})
    for k, v in pairs(loaded) do state[k] = v end
    for _, day in ipairs(days) do
      local list = {}
      for j = 2, #day do list[j - 1] = {day[j][1], world.kind_index[day[j][2]], day[j][3], day[j][4]} end
      E.calendar[day[1]] = list
    end
    for j, s in ipairs(born) do E.spawns[j] = {0, world.type_index[s[1]], s[2], s[3], s[4], s[5]} end
    return pos
  end

  -- The script ------------------------------------------------------------------------------------------

  -- extra: further functions of the script's global table (space, layers, network).
  function E.load(extra)
    local shared = {}
    for _, name in ipairs({"tick", "agents", "look", "alive"}) do shared[name] = world.api[name] end
    -- an expression is evaluated where its agents are: what it drew would depend on that
    for name, f in pairs(world.draws) do
      shared[name] = function(...)
        if world.expression then
          deny(name .. " was called in a query of an expression, and expressions draw nothing; keep what step draws in env")
        end
        return f(...)
      end
    end
    for name, f in pairs(api) do shared[name] = f end
    for name, f in pairs(extra) do shared[name] = f end
    shared.param = world.param
    local env = D.sandbox.environment(shared, true)
    local chunk, why = load(program.chunk, program.chunkname, "t", env)
    if not chunk then error(why, 0) end
    Q.n = world.program.environment_fuel
    chunk(world.rt)
    for kind, f in pairs(D.sandbox.handlers(env)) do handlers[kind] = f end
    local functions = {}
    for name, f in pairs(D.sandbox.queries(env)) do
      asked[name] = function(...) return f(E.view, ...) end
      functions[#functions + 1] = f
    end
    for _, f in pairs(handlers) do functions[#functions + 1] = f end
    init, step = D.sandbox.own(env, "init"), D.sandbox.own(env, "step")
    functions[#functions + 1] = step
    functions[#functions + 1] = init
    D.sandbox.seal(env)
    watched = D.guard.watch(env, functions, true)
    E.has_step = step ~= nil
  end

  return E
end

return M
