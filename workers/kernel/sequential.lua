-- The sequential regimes: one agent at a time, and what it does is visible at once to the next. One worker.
--
-- A turn is the agent's step, its newborns, and then every message that was sent, to the last, before the
-- next agent's turn. Mail with a delay waits in the calendar and opens the tick that it is due in.

local D = ...
local i32 = D.buffer.i32
local error, ipairs, floor = error, ipairs, math.floor
local sort = table.sort

local M = {}

-- regime: random | ordered | uniform | by_type.
function M.new(world, regime)
  local Sq = {}
  local P, R, rng = world.plan, world.roster, world.rng
  local mail, later, limits = world.mail, world.later, D.api.LIMITS
  local types = world.program.types
  local room, drawn, drawn_at = 0, nil, nil
  local in_order = D.activation.new(world, regime)
  local handled, born, killed = 0, 0, 0
  local given, given_at = nil, nil    -- by sender: its last sequence number, and of which tick
  local environments = {first = 0}    -- the same numbers of the environment's mail that is to be handed over
  local sequence = 0                  -- of the message being handed over

  -- Between ticks mail waits in the calendar alone; who looks at it there opens no tick.
  mail.open = P.swap

  local function follow_ids()
    if R.last_id > room then
      local bigger = floor(R.last_id * 1.5) + 64
      local a, b, c, d = i32(bigger), i32(bigger), i32(bigger), i32(bigger)
      for id = 0, room > 0 and room or -1 do a[id], b[id], c[id], d[id] = drawn[id], drawn_at[id], given[id], given_at[id] end
      drawn, drawn_at, given, given_at, room = a, b, c, d, bigger
    end
  end

  -- Turns and handlers of an agent in a tick continue one random stream.
  local function begin(id)
    P.begin(id)
    if drawn_at[id] == world.tick then rng.resume(id, drawn[id]) end
  end

  local function kill(id)
    killed = killed + 1
    world.replica.remove(id)
    R.kill(id)
  end

  -- Notes how far the stream is that is armed, agent id's.
  function Sq.keep_stream(id)
    local _, count = rng.save()
    if count > 0 then drawn[id] = count; drawn_at[id] = world.tick end
  end

  -- What must be true and visible once an agent has acted.
  local function finish(id, self, name)
    Sq.keep_stream(id)
    if self.id ~= id or self.type ~= name then world.inner.locked(self, id) end
    if P.is_gone() then
      world.removals[#world.removals] = nil
      kill(id)
    elseif world.shown.exists then
      world.shown.show(R.type_of[id], id, self)
    end
  end

  -- Makes the agents that were asked for, and those that their init asks for.
  local function make_newborns()
    local spawns, j = world.spawns, 1
    while j <= #spawns do
      local s = spawns[j]
      local k = s[2]
      local id, index, slot = R.add_one(k)
      if id > room then follow_ids() end
      world.replica.follow_roster()
      world.replica.settle(id, s[1], s)
      D.population.create(world, k, id, slot, index, s[1], s[3])
      finish(id, R.selves[R.where[id]], types[k].name)
      born = born + 1
      if born > limits.spawns * 100 then
        world.limit_hit = "more than " .. limits.spawns * 100 .. " agents were spawned in one tick: does every init spawn?"
        error(world.limit_hit, 0)
      end
      spawns[j] = false
      j = j + 1
    end
    for at = j - 1, 1, -1 do spawns[at] = nil end
    world.context = "step"
  end

  -- The number of the next message that is handed over, among its sender's of this tick.
  local function number(from)
    if from == 0 then
      environments.first = environments.first + 1
      return environments[environments.first]
    end
    if given_at[from] ~= world.tick then given[from] = 0; given_at[from] = world.tick end
    given[from] = given[from] + 1
    return given[from]
  end

  local function deliver(to, slot, shape, pos, from, e)
    local self, k = R.selves[slot], R.type_of[to]
    begin(to)
    P.set_handling(e)
    world.dispatch[k][shape](self, pos, from)
    P.set_handling(0)
    finish(to, self, types[k].name)
    mail.delivered = mail.delivered + 1
    if #world.spawns > 0 then make_newborns() end
  end

  local function deliver_all(k, shape, pos, from, e)
    local bound = R.last_id
    local first, last = R.base[k] + 1, R.base[k] + R.count[k]
    local ids = {}
    for slot = first, last do
      if R.selves[slot] and R.ids[slot] ~= from then ids[#ids + 1] = R.ids[slot] end
    end
    mail.sent = mail.sent + #ids
    for _, id in ipairs(ids) do
      local slot = id <= bound and R.where[id] or 0
      if slot > 0 then deliver(id, slot, shape, pos, from, e) else mail.dead = mail.dead + 1 end
    end
  end

  local function postpone(one, to, from, seq)
    if to == 0 then
      world.environment.post_at(one.due, from, one.kind, one.body)
      mail.sent = mail.sent + 1
      return
    end
    local bound = 0
    if to < 0 then
      local k, here = -to, R.alive[-to]
      if from > 0 and R.type_of[from] == k and R.where[from] ~= 0 then here = here - 1 end
      mail.sent = mail.sent + here
      bound = {R.last_id, here}
    else
      mail.sent = mail.sent + 1
      if R.where[to] == 0 then mail.dead = mail.dead + 1 return end
    end
    mail.put_off(one.due, to, from, seq, one.kind, one.body, world.tick, bound)
  end

  -- Hands over everything that was sent, in the order it was sent, and what that makes agents send.
  local function flush()
    handled = 0
    while P.sent_count() > 0 do
      P.swap()
      local n, rto, rfrom, rshape, rpos = P.inn()
      handled = handled + n
      if handled > limits.sends then
        local kind, from = world.kind_of_shape[rshape[n]], rfrom[n]
        world.limit_hit = "messages go round without end: one turn was followed by more than " .. limits.sends .. " messages, the last "
          .. (kind and "a '" .. world.program.kinds[kind] .. "' " or "") .. "from " .. (from > 0 and "agent " .. from or "the environment")
          .. "; what can wait for the next tick is sent with a delay of 1"
        error(world.limit_hit, 0)
      end
      for e = 1, n do
        local to, from, shape, pos = rto[e], rfrom[e], rshape[e], rpos[e]
        sequence = number(from)
        if shape == 0 then
          postpone(later[pos], to, from, sequence)
        elseif to > 0 then
          mail.sent = mail.sent + 1
          local slot = R.where[to]
          if slot > 0 then deliver(to, slot, shape, pos, from, e) else mail.dead = mail.dead + 1 end
        elseif to < 0 then
          deliver_all(-to, shape, pos, from, e)
        else
          local E, k = world.environment, world.kind_of_shape[shape]
          E.handle(from, k, P.peek[shape](pos))
          mail.sent, mail.delivered = mail.sent + 1, mail.delivered + 1
          Sq.settle_environment()
        end
      end
    end
    for j = #later, 1, -1 do later[j] = nil end
    if environments.first > 0 then environments = {first = 0} end
  end

  -- Adds the environment's newborns to those that are made when this turn or handler ends.
  local function take_environment_spawns()
    local E = world.environment
    for j = 1, #E.spawns do world.spawns[#world.spawns + 1] = E.spawns[j] end
    E.spawns = {}
  end

  -- What the environment asked for is done at once, too.
  function Sq.settle_environment()
    take_environment_spawns()
    make_newborns()
  end

  -- A message of the environment, for the flush that is under way or comes next.
  function Sq.enqueue(to, k, body, seq)
    local shape = (to < 0 and world.shared or world.own)[k]
    environments[#environments + 1] = seq
    P.put(to, shape, P.mailed[shape](body))
  end

  -- The mail that is due in this tick, by recipient in agent order; a recipient's in reading order.
  local function due_mail(tick)
    local day = mail.take_calendar(tick)
    if not day then return {} end
    local list, type_of = {}, R.type_of
    for _, one in ipairs(day) do
      if one.to > 0 then
        list[#list + 1] = one
      else
        local k = -one.to
        local reached = 0
        for slot = R.base[k] + 1, R.base[k] + R.count[k] do
          local id = R.ids[slot]
          if id > one.bound[1] then break end
          if id ~= one.from then
            reached = reached + 1
            list[#list + 1] = {to = id, from = one.from, seq = one.seq, kind = one.kind, body = D.codec.copy(one.body), sent = one.sent}
          end
        end
        mail.dead = mail.dead + one.bound[2] - reached
      end
    end
    local function rank(id) return type_of[id] * 4294967296 + id end
    sort(list, function(a, b)
      if a.to ~= b.to then return rank(a.to) < rank(b.to) end
      if a.sent ~= b.sent then return a.sent < b.sent end
      if a.from ~= b.from then return rank(a.from) < rank(b.from) end
      return a.seq < b.seq
    end)
    return list
  end

  local function open_tick(tick)
    if world.environment then
      world.environment.take_due(tick)
      Sq.settle_environment()
      flush()
    end
    for _, one in ipairs(due_mail(tick)) do
      local slot = R.where[one.to]
      if slot > 0 then
        local self, k = R.selves[slot], R.type_of[one.to]
        local kind = world.program.kinds[one.kind]
        begin(one.to)
        world.context = "on." .. kind
        world.handled = one
        world.handlers[k][kind](self, one.body, one.from)
        world.handled = nil
        world.context = "step"
        finish(one.to, self, types[k].name)
        mail.delivered = mail.delivered + 1
        make_newborns()
        flush()
      else
        mail.dead = mail.dead + 1
      end
    end
  end

  -- All turns of a tick. Who was born in it has none; who died before its turn has none.
  function Sq.turns(tick)
    follow_ids()
    born, killed = 0, 0
    world.removals = {}
    world.context = "step"
    open_tick(tick)
    local steps = world.steps
    local queue, n = in_order()
    for j = 1, n do
      local id = queue[j]
      local slot = R.where[id]
      if slot > 0 then
        local self, k = R.selves[slot], R.type_of[id]
        begin(id)
        steps[k](self)
        finish(id, self, types[k].name)
        if #world.spawns > 0 then make_newborns() end
        if P.sent_count() > 0 then flush() end
      end
    end
  end

  -- Ends a tick. Returns how many were born and removed in it.
  function Sq.close(tick)
    follow_ids()
    if tick == 0 then
      born, killed = 0, 0
      Sq.close_creation()
    else
      if world.environment then
        world.environment.step()
        Sq.settle_environment()
      end
      world.replica.step_layers()
      flush()
      D.population.check_guards(world)
    end
    R.compact()
    return born, killed
  end

  -- What every init of tick 0 did: those who left go, newborns come, and mail is due in tick 1.
  function Sq.close_creation()
    for _, id in ipairs(world.removals) do kill(id) end
    world.removals = {}
    world.shown.apply(world.shown.compare())
    if world.environment then Sq.settle_environment() end
    make_newborns()
    P.swap()
    local n, rto, rfrom, rshape, rpos = P.inn()
    for e = 1, n do
      local shape = rshape[e]
      local one = later[rpos[e]]
      if shape ~= 0 then
        one = {due = 1, kind = world.kind_of_shape[shape], body = P.peek[shape](rpos[e])}
      end
      postpone(one, rto[e], rfrom[e], number(rfrom[e]))
    end
    for j = #later, 1, -1 do later[j] = nil end
  end

  Sq.ask = D.asking.new(world, begin, finish, Sq.keep_stream, take_environment_spawns)

  -- Sent tick, kind and sequence of the message being handled, e of those read unless it waited or was asked;
  -- an ask has the number 0. nil when none is.
  function Sq.about(e)
    local one = world.handled
    if one then return one.sent, one.kind, one.seq end
    if e == 0 then return nil end
    local _, _, _, rshape = P.inn()
    return world.tick, world.kind_of_shape[rshape[e]], sequence
  end

  follow_ids()
  return Sq
end

return M
