-- Births and deaths: creation, and the changes that a tick's close applies.

local D = ...
local type, error, ipairs = type, error, ipairs
local sort, concat, floor, format = table.sort, table.concat, math.floor, string.format

local M = {}

-- Written out for each type, so that the JIT need not enter a loop for each newborn.
local FIELD = [[
  if self[%q] == nil then
    world.field = fields[%d]
    local v = value%d(i)
    local kind = type(v)
    if kind == 'table' or kind == 'function' then
      error('gives a ' .. kind .. '; it may give a number, a string, a boolean or nil', 0)
    end
    self[%q] = v
  end
]]

-- A function(self, i) that fills in the fields of model.toml which the agent was not given.
function M.filler(world, fields)
  if #fields == 0 then return function() end end
  local values, parts = {}, {}
  for j, f in ipairs(fields) do
    values[j] = format("local value%d = fields[%d].value ", j, j)
    parts[j] = format(FIELD, f.name, j, j, f.name)
  end
  local text = "return function(world, fields, type, error) " .. concat(values) .. "return function(self, i)\n"
    .. concat(parts) .. "world.field = nil end end"
  return D.compile.chunk({}, "state", text)(world, fields, type, error)
end

-- given: the fields that spawn gave; the table becomes the agent.
function M.create(world, k, id, slot, i, parent, given)
  world.plan.begin(id)
  local self, name = given or {}, world.program.types[k].name
  world.context = "init"
  self.id, self.type = id, name
  world.fillers[k](self, i)
  if parent and parent > 0 then self.parent = parent end
  world.roster.selves[slot] = self
  local init = world.inits[k]
  if init then init(self) end
  if self.id ~= id or self.type ~= name then error("init assigned self.id or self.type: the engine owns them; use another field name", 0) end
end

local function guard_failed(file, changed, rank)
  -- after all faults of agents: the workers that have none look here too
  error({kind = "script", message = file .. ": " .. changed, rank = {1, rank}}, 0)
end

function M.check_guards(world)
  for k = 1, #world.guards do
    local changed = world.guards[k].changed()
    if changed then guard_failed("agents/" .. world.program.types[k].name .. ".lua", changed, k) end
  end
  local changed = world.environment and world.environment.changed()
  if changed then guard_failed("environment.lua", changed, 0) end
end

-- Spawns in agent order of the parents; those asked for in an init at the last close come among them.
function M.ordered(world, spawns)
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

-- The shared world acts: layers take what agents asked, then the environment handles its mail and steps.
local function act(world, streams)
  local changes, W, E = world.changes, world.replica, world.environment
  if W.layers then
    local ops = changes.merged(streams, "ops")
    for j = 1, ops.n do W.layers.apply(ops.layer[j], ops.op[j], ops.cell[j], ops.value[j]) end
  end
  if E then
    E.take_due(world.tick)
    local mail = changes.merged(streams, "mail")
    for j = 1, mail.n do
      if mail.delay[j] == 1 then
        if world.me == 0 then world.mail.delivered = world.mail.delivered + 1 end
        E.handle(mail.id[j], mail.kind[j], mail.body[j])
      else
        E.post(mail.id[j], mail.kind[j], mail.body[j], mail.delay[j])
      end
    end
  end
  if world.tick > 0 then
    if E then E.step() end
    W.step_layers()
  end
end

-- Where the parents of newborns stand, before any of them goes.
local function parents_places(world, spawns)
  local S, places = world.replica.space, {}
  if S and not S.single then
    for j, s in ipairs(spawns) do
      if s[4] == nil and s[1] > 0 and S.placed(s[1]) then places[j] = {S.get(s[1])} end
    end
  end
  return places
end

-- Closes a tick everywhere alike: `streams` are the changes of all workers; then removals (ids) and spawns
-- ({parent, type, fields, x, y, z}, in order) are applied, and my newborns are created.
function M.apply(world, removals, spawns, new_shards, streams)
  local roster, W, changes = world.roster, world.replica, world.changes
  act(world, streams)
  for _, taken in ipairs(streams) do world.shown.apply(taken.shown) end
  local places = parents_places(world, spawns)
  local mine = {}
  for j = 1, #removals do
    if roster.where[removals[j]] > 0 then mine[#mine + 1] = removals[j] end
    W.remove(removals[j])
  end
  world.mail.removed(mine)
  roster.remove(removals)
  W.move(changes.merged(streams, "moves"))
  if W.network then W.link(changes.merged(streams, "links")) end
  if #spawns > 0 then
    local kinds = {}
    for j = 1, #spawns do kinds[j] = spawns[j][2] end
    local given, index = roster.add(kinds, new_shards)
    W.follow_roster()
    local here, none = {}, {}
    for j = 1, #spawns do
      local place = places[j] or none
      W.settle(given[j], spawns[j][1], spawns[j], place[1], place[2], place[3])
      world.shown.show(kinds[j], given[j], spawns[j][3])
      if roster.where[given[j]] > 0 then here[#here + 1] = j end
    end
    sort(here, function(a, b)
      if kinds[a] ~= kinds[b] then return kinds[a] < kinds[b] end
      return given[a] < given[b]
    end)
    for _, j in ipairs(here) do
      local id = given[j]
      M.create(world, kinds[j], id, roster.where[id], index[j], spawns[j][1], spawns[j][3])
    end
  end
  world.crumb[0] = 0
end

-- What this worker adds to a tick's close: ids to remove, agents to make, other changes. It is forgotten here.
function M.take(world)
  local removals, spawns = world.removals, world.spawns
  world.removals, world.spawns = {}, {}
  if world.environment then
    local born = world.environment.spawns
    if #born > 0 then
      world.environment.spawns = {}
      if world.me == 0 then
        for j = 1, #born do spawns[#spawns + 1] = born[j] end
      end
    end
  end
  return removals, M.ordered(world, spawns), world.changes.take()
end

-- Whether this tick needs more than its turns. The shared world's own steps are everybody's to see.
function M.has_changes(world)
  return #world.removals > 0 or #world.spawns > 0 or world.changes.any() or world.replica.acts(world.tick)
end

function M.end_of_tick(world)
  world.bound = world.roster.last_id
  for k = 1, #world.alive_at_start do world.alive_at_start[k] = world.roster.alive[k] end
end

-- How many shards the newborns open, beyond those that exist.
function M.new_shards(world, count)
  local roster = world.roster
  local need = floor((roster.last_id + count - 1) / roster.shard_size) + 1
  return need - #roster.placement
end

function M.close_alone(world)
  world.mail.removed({})
  if not M.has_changes(world) then return 0, 0 end
  local removals, spawns, taken = M.take(world)
  local shards = {}
  for j = 1, M.new_shards(world, #spawns) do shards[j] = 0 end
  M.apply(world, removals, spawns, shards, {taken})
  M.check_guards(world)
  return #spawns, #removals
end

return M
