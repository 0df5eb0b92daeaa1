-- What a script may call besides the standard library: messages, births and deaths, records, logs.
-- Every refusal says what is allowed; the fault handler adds agent, tick and line.

local D = ...
local tostring = D.sandbox.lib.tostring     -- prints NaN alike on both VMs
local type, error, select, pairs, ipairs = type, error, select, pairs, ipairs
local concat, sort = table.concat, table.sort
local codec = D.codec
local cut, readable = D.text.cut, D.text.readable

local M = {}

-- Per agent and tick, except `log_bytes`, which is per line. Documented in docs/lua-api.md.
M.LIMITS = {sends = 100000, spawns = 10000, logs = 100, log_bytes = 2000, records = 10000, delay = 1000000000}

local function shown(v)
  if type(v) == "string" then return '"' .. cut(v, 40) .. '"' end
  if type(v) == "table" then return "a table" end
  if type(v) == "function" then return "a function" end
  return tostring(v)
end

-- world: the shared record of main.lua (program, roster, mail, plan, lookups). Returns the functions
-- that the plan needs and those that scripts see.
function M.new(world)
  local program, limits = world.program, M.LIMITS
  local kinds, types = program.kinds, program.types
  local crumb = world.crumb
  local api, inner = {}, {}

  local function limit(message)
    world.limit_hit = message
    error(message, 0)
  end

  local function deny(message) error(message, 0) end

  -- Messages -------------------------------------------------------------------------------------

  function inner.too_many()
    limit("an agent may send at most " .. limits.sends .. " messages in one tick (a broadcast counts as one here)")
  end

  function inner.bad_recipient(to)
    if to == nil then
      deny("there is nobody to send to: the recipient is nil (lists begin at 1, nearest finds nobody, spawn returns nothing)")
    end
    deny("no agent has the id " .. shown(to) .. ": ids are whole numbers from 1 to " .. world.roster.last_id
      .. " so far; send to an id, to the name of a single agent, or use broadcast(type, kind, body) for a whole type")
  end

  function inner.unhandled(to, kind)
    if to % 1 ~= 0 then inner.bad_recipient(to) end
    local k = world.roster.type_of[to]
    local name = types[k] and types[k].name or "?"
    deny("agent " .. to .. " is of type '" .. name .. "', which has no handler for '" .. kinds[kind]
      .. "': add function on." .. kinds[kind] .. "(self, msg, from) to agents/" .. name .. ".lua, or send it to another type")
  end

  local function kind_index(kind)
    if type(kind) ~= "string" then deny("a message's kind is a string, not " .. shown(kind)) end
    local k = world.kind_index[kind]
    if not k then
      deny("no agent type handles '" .. kind .. "': write function on." .. kind .. "(self, msg, from) in the recipient's file")
    end
    return k
  end

  local function type_index(name)
    local k = world.type_index[name]
    if not k then
      local names = {}
      for j = 1, #types do names[j] = types[j].name end
      deny("there is no agent type " .. shown(name) .. "; types: " .. concat(names, ", "))
    end
    return k
  end

  local function whole_delay(delay)
    if type(delay) ~= "number" or delay < 1 or delay % 1 ~= 0 or delay > limits.delay then
      deny("a delay is a whole number of ticks from 1 to " .. limits.delay .. ", not " .. shown(delay))
    end
    return delay
  end

  -- The environment's id, where it has a script.
  local function environment()
    if not world.environment then
      deny("this model has no environment to send to: write environment.lua with function on.KIND(env, msg, from)")
    end
    return 0
  end

  local function recipient(to)
    if type(to) == "string" then
      local id = world.alias[to]
      if id then return id end
      if to == "environment" then return environment() end
      deny("no agent is named " .. shown(to) .. ": give a type of count 1 a name with [agents.TYPE] name = " .. shown(to))
    end
    if to == 0 then return environment() end
    if type(to) ~= "number" or not (to >= 1 and to <= world.roster.last_id) or to % 1 ~= 0 then inner.bad_recipient(to) end
    return to
  end

  local function copied(body)
    if body == nil then return {} end
    if type(body) ~= "table" then
      deny("a message's body is a table, not " .. shown(body) .. ": send(to, kind, {value = " .. shown(body) .. "})")
    end
    return codec.copy(body)
  end
  inner.copy, inner.shown = codec.copy, shown
  inner.kind_index, inner.whole_delay, inner.recipient, inner.copied = kind_index, whole_delay, recipient, copied

  function inner.environment_lacks(kind)
    deny("the environment has no handler for '" .. kind .. "': add function on." .. kind .. "(env, msg, from) to environment.lua")
  end

  local plan = nil
  function inner.bind(P) plan = P end

  local function put_boxed(to, k, body, delay, shape)
    if delay == nil or delay == 1 and not world.sequential then
      plan.put(to, shape, plan.mailed[shape](body))
    else
      whole_delay(delay)
      local later = world.later
      local place = #later + 1
      later[place] = {due = world.tick + delay, kind = k, body = body}
      plan.put(to, 0, place)
    end
  end

  function inner.send_slow(k, to, body, delay, required)
    local id = recipient(to)
    if delay ~= nil or required then whole_delay(delay) end
    if id == 0 then
      if not world.environment.handles(kinds[k]) then inner.environment_lacks(kinds[k]) end
      body = copied(body)
      if world.sequential then
        put_boxed(0, k, body, delay, world.own[k])
      else
        world.mail.sent = world.mail.sent + 1
        world.changes.add_mail(crumb[0], k, delay or 1, body)
      end
      return
    end
    if not world.takers[k][world.roster.type_of[id]] then inner.unhandled(id, k) end
    put_boxed(id, k, copied(body), delay, world.own[k])
  end

  function api.send(to, kind, body, delay) inner.send_slow(kind_index(kind), to, body, delay) end

  function api.after(delay, kind, body)
    inner.send_slow(kind_index(kind), crumb[0], body, delay, true)
  end

  function inner.broadcast_type(name, k)
    local t = type_index(name)
    if not world.takers[k][t] then
      deny("type '" .. name .. "' has no handler for '" .. kinds[k] .. "': add function on." .. kinds[k] .. "(self, msg, from) to agents/" .. name .. ".lua")
    end
    return t
  end

  -- How many a broadcast to type k reaches: those alive at tick start, less the sender.
  function inner.audience(k)
    local sender = crumb[0]
    if world.sequential then return world.roster.alive[k] - (world.roster.type_of[sender] == k and 1 or 0) end
    local count = world.alive_at_start[k]
    if sender <= world.bound and world.roster.type_of[sender] == k then count = count - 1 end
    return count
  end

  function inner.broadcast_slow(k, name, body, delay)
    local t = inner.broadcast_type(name, k)
    if delay ~= nil then whole_delay(delay) end
    local count = inner.audience(t)
    if count < 1 then return end
    put_boxed(-t, k, copied(body), delay, world.shared[k])
    plan.widen(count - 1)
  end

  function api.broadcast(name, kind, body, delay) inner.broadcast_slow(kind_index(kind), name, body, delay) end

  function api.message()
    local e = plan.handling()
    local sent, k, seq
    if world.sequential then
      sent, k, seq = world.sequential.about(e)
    elseif e > 0 then
      sent, k, seq = world.mail.about(e, world.tick)
    end
    if not sent then deny("message() speaks of the message being handled: call it inside a handler, not in init or step") end
    return sent, kinds[k], seq
  end

  -- Births and deaths ------------------------------------------------------------------------------

  -- {parent, type, fields, x, y, z} as the close takes it.
  function inner.new_spawn(parent, name, fields, x, y, z)
    local t = type_index(name)
    if fields == nil then fields = {} end
    if type(fields) ~= "table" then deny("spawn(type, fields): fields is a table, not " .. shown(fields)) end
    if fields.id ~= nil or fields.type ~= nil then
      deny("spawn: id and type are given by the engine; use other field names (number, sort, ...)")
    end
    if x ~= nil then
      local S = world.replica.space
      if not S then deny("spawn(type, fields, x, y): this model has no space") end
      x, y, z = S.fit(x, y, z)
      if x == nil then deny("spawn: " .. y) end
    end
    for _, field in ipairs(types[t].publish) do
      local kind = type(fields[field])
      if kind == "table" or kind == "function" then
        deny("spawn: the field " .. field .. " is published, so it may be a number, a string, a boolean or nil, not a " .. kind)
      end
    end
    return {parent, t, codec.copy_fields(fields), x, y, z}
  end

  function api.spawn(name, fields, x, y, z)
    local spawn = inner.new_spawn(crumb[0], name, fields, x, y, z)
    local spawns = world.spawns
    local me = crumb[0]
    local mine = world.spawn_count
    if world.spawner ~= me then mine = 0; world.spawner = me end
    mine = mine + 1
    world.spawn_count = mine
    if mine > limits.spawns then limit("an agent may spawn at most " .. limits.spawns .. " agents in one tick") end
    local S = world.sequential and world.replica.space
    if S and x == nil and not S.single then spawn[4], spawn[5], spawn[6] = S.get(me) end
    spawns[#spawns + 1] = spawn
  end

  function api.remove(other)
    if other ~= nil then deny("remove() takes no argument: an agent removes itself; send another agent a message that asks it to") end
    if plan.is_gone() then return end
    plan.leave()
    local removals = world.removals
    removals[#removals + 1] = crumb[0]
  end

  -- Looking ----------------------------------------------------------------------------------------

  function api.tick() return world.tick end

  function api.agents(name)
    local list = world.roster.lists[name]
    if list then return list end
    return world.roster.list(type_index(name))
  end

  -- Whether agent id lives: as of the last closed tick, or now in a sequential regime.
  function api.alive(id)
    local last = world.sequential and world.roster.last_id or world.bound
    return type(id) == "number" and id >= 1 and id <= last and id % 1 == 0 and world.roster.where[id] ~= 0
  end

  local published = world.published

  -- What another agent shows of itself; nil for one that is gone or shows nothing.
  function api.look(id, field)
    local column = published[field]
    if column == nil then
      local names = {}
      for name in pairs(published) do names[#names + 1] = name end
      sort(names)
      deny("look(id, field): no type publishes " .. shown(field) .. "; published: "
        .. (#names > 0 and concat(names, ", ") or "nothing. Add publish = [\"...\"] to [agents.TYPE] in model.toml"))
    end
    if type(id) ~= "number" then deny("look(id, field): id is an agent's number, not " .. shown(id)) end
    return column[id]
  end

  -- Telling ----------------------------------------------------------------------------------------

  function api.record(name, value)
    if type(name) ~= "string" or name == "" or #name > 64 then deny("record(name, value): name is a string of 1 to 64 characters, not " .. shown(name)) end
    if not world.samples[name] and readable(name) ~= name then deny("record: the name " .. shown(name) .. " is not UTF-8 text") end
    if world.metric_names[name] then deny("record: '" .. name .. "' is a declared metric; use another name") end
    if type(value) ~= "number" then deny("record('" .. name .. "', value): value is a number, not " .. shown(value)) end
    world.record(name, value, limits.records)
  end

  function api.log(...)
    local logs = world.logs
    local me = crumb[0]
    local mine = world.log_count
    if world.logged then
      mine = world.logged[me] or 0         -- turns and handlers of several agents alternate
      world.logged[me] = mine + 1
    elseif world.logger ~= me then
      mine = 0
      world.logger = me
    end
    mine = mine + 1
    world.log_count = mine
    if mine > limits.logs then limit("an agent may log at most " .. limits.logs .. " lines in one tick") end
    local parts = {}
    for j = 1, select("#", ...) do parts[j] = world.tostring((select(j, ...))) end
    local text = readable(cut(concat(parts, "\t"), limits.log_bytes))
    logs[#logs + 1] = {world.tick, me > 0 and world.roster.type_of[me] or 0, me, mine, text}
  end
  api.print = api.log

  function inner.locked(self, id)
    local which = self.id ~= id and "id" or "type"
    deny("self." .. which .. " was assigned: the engine owns it; keep your value in another field (self." .. (which == "id" and "number" or "sort") .. ")")
  end

  return api, inner
end

return M
