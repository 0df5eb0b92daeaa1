-- Births and deaths: creation, and the changes that a tick's close applies.

local D = ...
local type, error, pairs, ipairs = type, error, pairs, ipairs
local sort, floor = table.sort, math.floor

local M = {}

local function fill(world, self, k, i, id, parent, given)
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

function M.create(world, k, id, slot, i, parent, given)
  local P = world.plan
  P.begin(id)
  local self = given or {}
  world.context = "init"
  fill(world, self, k, i, id, parent, given)
  world.roster.selves[slot] = self
  local init = world.inits[k]
  if init then init(self) end
  if self.id ~= id or self.type ~= world.program.types[k].name then error("init assigned self.id or self.type: the engine owns them; use another field name", 0) end
end

function M.check_guards(world)
  for k = 1, #world.guards do
    local changed = world.guards[k].changed()
    if changed then
      -- after all faults of agents: the workers that have none look here too
      local message = "agents/" .. world.program.types[k].name .. ".lua: " .. changed
      error({kind = "script", message = message, rank = {1, k}}, 0)
    end
  end
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

-- Applies removals (ids) and spawns ({parent, type, fields}, in order) everywhere; creates mine.
function M.apply(world, removals, spawns, new_shards)
  local roster = world.roster
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
    M.create(world, kinds[j], id, roster.where[id], index[j], spawns[j][1], spawns[j][3])
  end
  world.crumb[0] = 0
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
  local removals, spawns = world.removals, world.spawns
  world.mail.removed({})
  if #removals > 0 or #spawns > 0 then
    world.removals, world.spawns = {}, {}
    local shards = {}
    for j = 1, M.new_shards(world, #spawns) do shards[j] = 0 end
    M.apply(world, removals, M.ordered(world, spawns), shards)
  end
  return #spawns, #removals
end

return M
