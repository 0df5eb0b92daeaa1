-- The turns of one tick: mail is opened and sorted, and the agents of each type run.

local D = ...
local ipairs = ipairs
local sort = table.sort

local M = {}

function M.begin_tick(world, tick)
  world.tick = tick
  world.crumb[1] = tick % 2147483648
  world.expression_env.tick = tick
  world.rng.at(world.seed, tick)
  world.samples, world.record_count = {}, 0
  world.spawner, world.logger = 0, 0
  world.logged = world.sequential and {} or nil
  world.changes.begin_tick()
  world.replica.told = 0
  if world.environment then world.environment.begin_tick() end
end

function M.creation(world)
  local roster = world.roster
  world.replica.create(roster.born)
  if world.environment then world.environment.init() end
  for k = 1, #world.program.types do
    local from = roster.base[k]
    local first = 1
    for j = 1, k - 1 do first = first + roster.born[j] end
    for slot = from + 1, from + roster.count[k] do
      local id = roster.ids[slot]
      D.population.create(world, k, id, slot, id - first + 1)
      if world.sequential then world.sequential.keep_stream(id) end
    end
  end
end

-- Slots, ascending, of the newborns that called remove() in their init: they have no turn any more,
-- and are taken away at this tick's close.
local NOBODY = {}

local function leaving(world)
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

function M.turns(world, tick)
  local roster, mail = world.roster, world.mail
  mail.open(tick)
  local count, touched = mail.sort(world.sparse_allowed)
  local undelivered = 0
  local without = leaving(world)
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

return M
