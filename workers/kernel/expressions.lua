-- Metrics, invariants, stop and until. Each worker computes *partial* aggregates of its agents when a
-- tick closes; the partials of all workers, merged in worker order, give every worker the same values,
-- so each can decide on its own, and alike, whether the run has ended.

local D = ...
local codec, aggregate = D.codec, D.aggregate
local concat, format, find = table.concat, string.format, string.find
local pcall, error, type, setmetatable = pcall, error, type, setmetatable

local M = {}

-- Loops over the agents of a type. `bad(slot, value)` reports a value that is not a number.
local AGENT_LOOP = [[
local type, add, bad = ...
return function(selves, from, to, state, Q, fuel)
  for i = from, to do
    local self = selves[i]
    Q.n = fuel
    if %s then
      local v = %s
      if type(v) ~= 'number' then bad(i, v) end
      add(state, v)
    end
  end
end]]

-- count and share look at the truth of an expression: of those with the condition, how many, of how many.
local COUNT_LOOP = [[
local type, add, bad = ...
return function(selves, from, to, state, Q, fuel)
  local hits, total = 0, 0
  for i = from, to do
    local self = selves[i]
    Q.n = fuel
    if %s then
      total = total + 1
      if %s then hits = hits + 1 end
    end
  end
  return hits, total
end]]

local function before(a, b)
  for j = 1, 3 do
    if a[j] ~= b[j] then return a[j] < b[j] end
  end
  return false
end

-- world: see main.lua. env: the environment of expressions (library, parameters, `tick`).
function M.new(world, env, rt)
  local self_ = {}
  local roster, mail, Q = world.roster, world.mail, rt.Q
  local fuel = world.fuel
  -- what the environment and its layers answer may take as long as their own work
  local final_fuel = world.program.environment_fuel
  local aggregates, index_of = {}, {}
  local groups = {}                   -- metrics, invariants and stop of the model, then until

  local function where_from(name, line)
    world.expression = {name = name, line = line}
  end

  local function bad(slot, value)
    world.expression_slot = slot
    local shown = value == nil and "nil" or type(value) == "boolean" and tostring(value) or "a " .. type(value)
    error("the expression gives " .. shown .. " for this agent, where a number is needed", 0)
  end

  local function loop_for(a, name)
    local condition = a.condition ~= "" and a.condition or "true"
    local text
    if a.op == "count" or a.op == "share" then
      local test = a.value ~= "" and a.value or "true"
      text = format(COUNT_LOOP, "(" .. condition .. ")", "(" .. test .. ")")
    else
      text = format(AGENT_LOOP, "(" .. condition .. ")", "(" .. a.value .. ")")
    end
    -- the template takes its helpers from `...`; the operators come from the prefix
    local chunk = D.compile.chunk(env, name, "return function(...) " .. text .. " end")
    return chunk(type, aggregate.adders[a.op] or aggregate.add, bad)
  end

  local function mail_loop(a, name)
    if not a.value or a.value == "" then return false end
    return D.compile.expression(env, name, "msg", a.value)
  end

  local function key_of(a)
    return concat({a.op, a.type or "", a.value or "", a.condition or "", tostring(a.q or ""), a.mail or "", tostring(a.every)}, "\0")
  end

  -- Adds an expression; returns the record that evaluates it.
  local function add(e)
    local slots = {}
    for j, a in ipairs(e.aggregates) do
      a.every = e.every or 1
      a.condition = a.condition or ""
      local key = key_of(a)
      local index = index_of[key]
      if not index then
        index = #aggregates + 1
        index_of[key] = index
        aggregates[index] = a
        a.name, a.line = e.name, e.line
        if a.op == "mail" then
          a.kind_index = world.kind_index[a.mail]
          a.loop = mail_loop(a, e.name)
        else
          a.type_index = world.type_index[a.type]
          a.loop = loop_for(a, e.name)
        end
      end
      slots[j] = index
    end
    local final = D.compile.expression(env, e.name, "__A", e.code)
    return {name = e.name, line = e.line, role = e.role, every = e.every or 1, slots = slots, final = final, text = e.text}
  end

  for _, e in ipairs(world.program.expressions) do groups[#groups + 1] = add(e) end
  local declared = #aggregates
  local until_record = nil

  -- The until expression of the present run, compiled by the front end; nil for none.
  function self_.set_until(e)
    for j = #aggregates, declared + 1, -1 do
      index_of[key_of(aggregates[j])] = nil
      aggregates[j] = nil
    end
    until_record = e and add(e) or nil
  end

  -- Anything to evaluate at all?
  function self_.empty() return #groups == 0 and not until_record and not world.has_records end

  -- The number of messages under way at the end of `tick`; `state` gets the values of an expression.
  local function mail_total(a, state, tick)
    local value, add_value = a.loop, aggregate.adders.sum
    if not value then return mail.under_way(a.kind_index, tick) end
    local function number_of(msg, sender, sent)
      Q.n = fuel
      local v = value(msg)
      if type(v) ~= "number" then
        error("mail('" .. a.mail .. "', ...) gives " .. (v == nil and "nil" or "a " .. type(v))
          .. " for a message that agent " .. sender .. " sent in tick " .. sent .. ", where a number is needed", 0)
      end
      return v
    end
    local ok, total = pcall(mail.under_way, a.kind_index, tick, function(msg, times, sender, sent)
      local v = number_of(msg, sender, sent)
      for _ = 1, times do add_value(state, v) end
    end)
    if ok then return total end
    -- Which message is met first depends on where it waits: the one reported is the first in agent order.
    local type_of, lowest, why = roster.type_of, nil, nil
    mail.under_way(a.kind_index, tick, function(msg, _, sender, sent)
      local fine, reason = pcall(number_of, msg, sender, sent)
      local rank = {type_of[sender], sender, sent}
      if not fine and (not lowest or before(rank, lowest)) then lowest, why = rank, reason end
    end)
    world.expression_about = lowest
    error(why, 0)
  end

  -- Runs an aggregate's loop over the agents of slots from..to; a failure is put to the first of them.
  local function agent_total(a, from, to, state)
    local selves = roster.selves
    local ok, hits, total = pcall(a.loop, selves, from, to, state, Q, fuel)
    if ok then return hits, total end
    local spare = state and aggregate.new(a.op, a.q)
    for slot = from, to do
      world.expression_slot = slot
      a.loop(selves, slot, slot, spare, Q, fuel)
    end
    world.expression_slot = 0
    error(hits, 0)
  end

  -- The partial aggregates of this worker's agents at the end of `tick`: a list beside `aggregates`.
  function self_.partials(tick)
    local result = {}
    local base, count = roster.base, roster.count
    env.tick = tick
    for j = 1, #aggregates do
      local a = aggregates[j]
      if tick % a.every == 0 then
        where_from(a.name, a.line)
        world.expression_index = j
        world.expression_slot = 0
        if a.op == "mail" then
          local state = aggregate.new("sum")
          local n = mail_total(a, state, tick)
          result[j] = {n, state}
        else
          local k = a.type_index
          local from, to = base[k] + 1, base[k] + count[k]
          local op = a.op
          local state = op ~= "count" and op ~= "share" and aggregate.new(op, a.q)
          local hits, total = agent_total(a, from, to, state)
          result[j] = state and {0, state} or {hits, total}
        end
      else
        result[j] = false
      end
    end
    world.expression = nil
    return result
  end

  -- Partials, and the samples recorded in the tick, as bytes.
  function self_.write(w, partials, samples, names)
    w:array(2)
    w:array(#aggregates)
    for j = 1, #aggregates do
      local part = partials[j]
      if not part then
        w:value(nil)
      else
        w:array(2)
        w:num(part[1])
        if type(part[2]) == "number" then w:num(part[2]) else aggregate.write(w, part[2]) end
      end
    end
    w:array(#names)
    for _, name in ipairs(names) do
      w:array(5)
      local s = samples[name]
      w:str(name)
      aggregate.write(w, s.mean)
      aggregate.write(w, s.sum)
      aggregate.write(w, s.min)
      aggregate.write(w, s.max)
    end
  end

  function self_.read(s)
    local _, pos = codec.array_header(s, 1)
    local n
    n, pos = codec.array_header(s, pos)
    local partials = {}
    for j = 1, n do
      local a = aggregates[j]
      if codec.is_nil(s, pos) then
        _, pos = codec.decode(s, pos)
        partials[j] = false
      else
        _, pos = codec.array_header(s, pos)
        local first, second
        first, pos = codec.decode(s, pos)
        if a.op == "count" or a.op == "share" then
          second, pos = codec.decode(s, pos)
        else
          second, pos = aggregate.read(s, pos)
        end
        partials[j] = {first, second}
      end
    end
    local count
    count, pos = codec.array_header(s, pos)
    local samples = {}
    for _ = 1, count do
      local name
      _, pos = codec.array_header(s, pos)
      name, pos = codec.decode(s, pos)
      local one = {}
      one.mean, pos = aggregate.read(s, pos)
      one.sum, pos = aggregate.read(s, pos)
      one.min, pos = aggregate.read(s, pos)
      one.max, pos = aggregate.read(s, pos)
      samples[name] = one
    end
    return partials, samples
  end

  -- Adds the partials of another worker to `into`.
  function self_.merge(into, from)
    for j = 1, #aggregates do
      local a, b = into[j], from[j]
      if a and b then
        a[1] = a[1] + b[1]
        if type(a[2]) == "number" then a[2] = a[2] + b[2] else aggregate.merge(a[2], b[2]) end
      end
    end
  end

  local function value_of(j, part)
    local a = aggregates[j]
    if not part then return nil end
    if a.op == "count" then return part[1] end
    if a.op == "share" then
      if part[2] == 0 then return nil end
      return part[1] / part[2]
    end
    if a.op == "mail" then
      if not a.loop then return part[1] end
      return aggregate.value(part[2])
    end
    return aggregate.value(part[2])
  end

  local function evaluate(e, partials)
    where_from(e.name, e.line)
    local A = {}
    for j = 1, #e.slots do A[j] = value_of(e.slots[j], partials[e.slots[j]]) end
    Q.n = final_fuel
    return e.final(A)
  end

  -- Whether invariant, stop or until holds; `unless` when it cannot be said in this tick, because it reads
  -- a metric that `every` leaves out now. Stop and until cannot be said either where they compare or
  -- reckon with nothing: the mean of nobody, a record of which there is no sample yet.
  local left_out, read_left_out = {}, false
  setmetatable(env, {__index = function(_, name)
    if left_out[name] then read_left_out = true end
    return nil
  end})

  local function about_nothing(message)
    return type(message) == "string" and find(message, "^expression:") and find(message, "nil", 1, true)
      and (find(message, "attempt to compare", 1, true) or find(message, "attempt to perform arithmetic", 1, true))
  end

  local function holds(e, partials, unless)
    read_left_out = false
    local ok, v = pcall(evaluate, e, partials)
    if read_left_out then return unless end
    if not ok then
      if e.role ~= "invariant" and about_nothing(v) then return unless end
      error(v, 0)
    end
    return v
  end

  -- Evaluates all from merged partials of `tick`. Returns the row {name = number or nil}, the list of
  -- its names, and how the tick ends the run: '' | invariant | stop | until, with the expression.
  function self_.settle(tick, partials, samples)
    local row, names = {}, {}
    env.tick = tick
    local stopped, by, broken = "", "", nil
    for name in pairs(world.metric_names) do env[name] = nil end
    left_out = {}
    for j = 1, #groups do
      local e = groups[j]
      if e.role == "metric" then
        names[#names + 1] = e.name
        if tick % e.every == 0 then
          world.expression_index = 100000 + j
          local v = evaluate(e, partials)
          if type(v) == "boolean" then v = v and 1 or 0 end
          if v ~= nil and type(v) ~= "number" then
            error("metric '" .. e.name .. "' gives a " .. type(v) .. ", where a number is needed", 0)
          end
          row[e.name] = v
          env[e.name] = v
        else
          left_out[e.name] = true
        end
      end
    end
    for _, name in ipairs(world.record_names) do
      local s = samples[name]
      local function put(label, v) names[#names + 1] = label; row[label] = v end
      put(name, s and aggregate.value(s.mean))
      put(name .. ".n", s and s.sum.n or 0)
      put(name .. ".sum", s and aggregate.value(s.sum) or 0)
      put(name .. ".min", s and aggregate.value(s.min))
      put(name .. ".max", s and aggregate.value(s.max))
      env[name] = row[name]
    end
    for j = 1, #groups do
      local e = groups[j]
      if e.role == "invariant" then
        world.expression_index = 200000 + j
        if not holds(e, partials, true) then
          broken = e
          break
        end
      end
    end
    if broken then
      stopped, by = "invariant", broken.name
    else
      for j = 1, #groups do
        local e = groups[j]
        if e.role == "stop" and stopped == "" then
          world.expression_index = 300000 + j
          if holds(e, partials, false) then stopped, by = "stop", e.name end
        end
      end
      if until_record and stopped == "" then
        world.expression_index = 400000
        if holds(until_record, partials, false) then stopped, by = "until", until_record.text or until_record.name end
      end
    end
    world.expression = nil
    return row, names, stopped, by, broken
  end

  return self_
end

return M
