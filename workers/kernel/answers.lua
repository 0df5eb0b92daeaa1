-- What an answer carries: rows of metrics, logs, counts, a fault.

local D = ...
local codec = D.codec
local type, pairs, ipairs = type, pairs, ipairs
local sort, concat = table.sort, table.concat

local M = {}

function M.note_names(world, samples)
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

function M.write_row(world, tick, row, names)
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
function M.settle(world, tick, partials, samples)
  M.note_names(world, samples)
  if world.expressions.empty() and #world.record_names == 0 then return "", "", nil end
  local row, names, stopped, by, broken = world.expressions.settle(tick, partials, samples)
  if world.me == 0 and #names > 0 then M.write_row(world, tick, row, names) end
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

-- Messages and living agents as they stand now, into a table that is used again.
function M.count(world, into)
  local mail, count, agents = world.mail, world.roster and world.roster.count, into.agents
  if mail then into.sent, into.delivered, into.dead = mail.sent + world.plan.sent(), mail.delivered, mail.dead end
  if count then
    for k = 1, #count do agents[k] = count[k] end
  end
  return into
end

local answer_writer = nil

-- The head of an answer, as one msgpack array; see host.py, which reads it.
function M.answer(world, a)
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
  local counted = a.counted or M.count(world, {sent = 0, delivered = 0, dead = 0, agents = {}})
  w:array(3)
  w:int(counted.sent)
  w:int(counted.delivered)
  w:int(counted.dead)
  w:array(#counted.agents)
  for k = 1, #counted.agents do w:int(counted.agents[k]) end
  w:str(a.ended or "")
  w:int(a.ended_tick or -1)
  w:str(a.ended_by or "")
  if a.fault then write_fault(w, a.fault) else w:value(nil) end
  return w:result()
end

return M
