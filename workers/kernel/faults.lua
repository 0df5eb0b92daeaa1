-- What went wrong, as a record: found where the error was thrown, and told in the world's context.

local D = ...
local codec = D.codec
local error, type, tostring, tonumber, pairs = error, type, tostring, tonumber, pairs
local sort, concat, getinfo, find, match, sub, gsub, format = table.sort, table.concat, debug.getinfo, string.find, string.match, string.sub, string.gsub, string.format

local M = {}

-- Raises a fault of model.toml, at its line.
function M.in_toml(line, message, kind)
  error({kind = kind or "script", message = message, file = "model.toml", line = line}, 0)
end

-- Whether a source's name, from character `at`, is that of a model's script.
local function is_script(source, at)
  return sub(source, at, at + 6) == "agents/" or sub(source, at) == "environment.lua"
end

local function brief(v, depth)
  local t = type(v)
  if t == "string" then return '"' .. D.text.cut(v, 30) .. '"' end
  if t == "number" or t == "boolean" or t == "nil" then return D.sandbox.lib.tostring(v) end
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
function M.on_error(err)
  local report = {err = err}
  for level = 2, 60 do
    local info = getinfo(level, "Sln")
    if not info then break end
    if is_script(info.source, 2) then
      report.file, report.line = sub(info.source, 2), info.currentline
      break
    end
  end
  return report
end

-- The fault record of a report, in the context that the world was in.
function M.fault_of(world, report, phase)
  if type(report) ~= "table" or report.err == nil then report = {err = report} end
  local err = report.err
  local now = world and world.tick or 0
  local fault = {tick = now > 0 and now or 0}     -- before creation it is -1
  local scripts = D.sandbox.thrown_by_script(err)
  if err == D.sandbox.OUT_OF_FUEL then
    fault.kind = "fuel"
    -- pcall has raised it again, further out, by the time it arrives here.
    if err.file and is_script(err.file, 1) and (err.file ~= report.file or err.line ~= report.line) then
      report.file, report.line = err.file, err.line
    end
    local of_layers = world.expression and sub(world.expression.name, 1, 7) == "layers."
    local fuel = (world.env_active or of_layers) and world.replica.fuel or world.fuel
    fault.message = "spent all its fuel of " .. format("%d", fuel) .. " (one unit a loop turn or function call) in this tick"
  elseif type(err) == "table" and not scripts and err.kind then
    fault.kind, fault.message = err.kind, err.message
    if err.file then report.file, report.line = err.file, err.line end
  elseif type(err) == "table" and not scripts and err.path then
    fault.kind, fault.message = "script", codec.explain(err)
  elseif type(err) == "string" then
    local file, line, rest = match(err, "^(agents/[^:]+):(%d+): (.*)$")
    if not file then file, line, rest = match(err, "^(environment%.lua):(%d+): (.*)$") end
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
  fault.file, fault.line = report.file, report.line
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
      -- a failure in a query that the expression calls stands where the query is
      if e.line and e.line > 0 and not fault.line then fault.file, fault.line = "model.toml", e.line end
      fault.handler = e.name
    end
    if (world.expression_slot or 0) > 0 then id = world.roster.ids[world.expression_slot] end
    if world.expression_about then id, nth = world.expression_about[2], world.expression_about[3] end
  elseif world.dumping then
    id = world.dumping
    if id == 0 then fault.agent_type = "environment" end
  elseif world.field then
    local place = match(world.field.name, "^place%.")
    fault.message = (place and "'" or "initial field '") .. world.field.name .. "': " .. fault.message
    fault.handler = place and world.field.name or "state." .. world.field.name
    if world.field.line > 0 then fault.file, fault.line = "model.toml", world.field.line end
  elseif world.env_active then
    local E = world.environment
    fault.agent_type, fault.handler = "environment", E.context
    if E.handling then
      local from = E.handling[3]
      fault.handling = E.handling[1] .. " " .. brief(E.handling[2], 0) .. " from " .. (from > 0 and "agent " .. from or "itself")
    end
    fault.locals = "env = " .. brief(E.state, 0)
    id = 0
  elseif id > 0 and world.plan then
    fault.handler = world.context
    local slot = world.roster.where[id]
    local self = slot > 0 and world.roster.selves[slot]
    -- What the kernel knows. Other variables cannot be told: a compiled trace does not restore those that
    -- are needed no more, so that in their places on the stack may stand another agent's.
    local known = {self and "self = " .. brief(self, 0)}
    local at, one = world.plan.handling(), world.handled
    if at > 0 then
      local _, _, rfrom, rshape, rpos = world.plan.inn()
      one = {kind = world.kind_of_shape[rshape[at]], body = world.plan.peek[rshape[at]](rpos[at]), from = rfrom[at]}
    end
    if one then
      local kind, msg = world.program.kinds[one.kind], brief(one.body, 0)
      fault.handler = "on." .. kind
      fault.handling = kind .. " " .. msg .. " from " .. (one.from > 0 and "agent " .. one.from or "the environment")
      known[#known + 1] = "msg = " .. msg
      known[#known + 1] = "from = " .. one.from
    end
    fault.locals = #known > 0 and concat(known, "; ") or nil
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

return M
