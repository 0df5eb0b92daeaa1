-- Who lives where. Every worker knows of every id: its type, and its slot here, the worker that
-- hosts it, or that it is gone. Agents hosted here stand in slots, a run of slots for each type, in
-- id order; so walking the slots is walking in agent order.

local D = ...
local i32 = D.buffer.i32
local floor = math.floor
local error, next, setmetatable = error, next, setmetatable

local M = {}

-- types: names in file order. counts: initial agents per type. placement: worker of each shard
-- (1-based list of 0-based workers). on_change() is called after arrays were replaced.
function M.new(types, counts, shard_size, placement, me, on_change)
  local R = {selves = {}, lists = {}, last_id = 0, shard_size = shard_size, placement = placement,
    mixed = false,      -- someone was born since creation: workers' ids are no longer in agent order
    thinned = false}    -- someone died
  local count_of_types = #types
  local total = 0
  for k = 1, count_of_types do total = total + counts[k] end
  local id_room = total + 64
  local where, type_of = i32(id_room), i32(id_room)
  local selves = R.selves
  local base, count, room = {}, {}, {}
  local born, alive = {}, {}          -- per type: ever created, living everywhere
  local ids
  local members = {}                  -- per type: i32 array of living ids, and its length

  local function host_of(id) return placement[floor((id - 1) / shard_size) + 1] end
  R.host_of = host_of

  local function publish()
    if next(R.lists) ~= nil then R.lists = {} end
    R.where, R.type_of, R.ids, R.base, R.count, R.alive, R.born = where, type_of, ids, base, count, alive, born
    on_change(where, type_of, R.last_id, selves, ids)
  end

  local slot, id = 0, 0
  for k = 1, count_of_types do
    base[k] = slot
    local mine = 0
    members[k] = {ids = i32(counts[k] + 1), n = counts[k]}
    for _ = 1, counts[k] do
      id = id + 1
      type_of[id] = k
      members[k].ids[id - R.last_id] = id
      local host = host_of(id)
      if host == me then
        slot = slot + 1
        where[id] = slot
        mine = mine + 1
      else
        where[id] = -(host + 1)
      end
    end
    R.last_id = id
    count[k], room[k], born[k], alive[k] = mine, mine, counts[k], counts[k]
  end
  R.slots = slot
  ids = i32(slot + 1)
  for each = 1, id do
    local s = where[each]
    if s > 0 then ids[s] = each end
  end
  for s = 1, slot do selves[s] = false end
  publish()

  -- Moves the runs apart so that every type has room for `more[k]` new agents.
  local function make_room(more)
    local fits = true
    for k = 1, count_of_types do
      if count[k] + (more[k] or 0) > room[k] then fits = false end
    end
    if fits then return end
    local new_base, at = {}, 0
    for k = 1, count_of_types do
      new_base[k] = at
      local need = count[k] + (more[k] or 0)
      if need > room[k] then room[k] = floor(need * 1.5) + 8 end
      at = at + room[k]
    end
    local new_ids = i32(at + 1)
    for k = count_of_types, 1, -1 do
      local from, to = base[k], new_base[k]
      for j = count[k], 1, -1 do
        local one = ids[from + j]
        new_ids[to + j] = one
        selves[to + j] = selves[from + j]
        if where[one] ~= 0 then where[one] = to + j end
      end
    end
    for k = 1, count_of_types do
      for j = count[k] + 1, room[k] do selves[new_base[k] + j] = false end
    end
    ids, base = new_ids, new_base
    R.slots = at
  end

  local function room_for_ids(last)
    if last <= id_room then return end
    local more = floor(last * 1.5) + 64
    local w, t = i32(more), i32(more)
    for each = 1, R.last_id do w[each] = where[each]; t[each] = type_of[each] end
    where, type_of, id_room = w, t, more
  end

  local emptied = {}                  -- types that have empty slots since the last compact

  -- Takes one agent away, wherever it lives; its slot stays empty until `compact`.
  function R.kill(gone)
    local k, slot = type_of[gone], where[gone]
    if slot == 0 then return end
    alive[k] = alive[k] - 1
    if slot > 0 then emptied[k] = true; selves[slot] = false end
    where[gone] = 0
    members[k].dirty = true
    R.lists[types[k].name] = nil
    R.thinned = true
  end

  -- Closes up the slots that were emptied.
  function R.compact()
    local any = false
    for k = 1, count_of_types do
      if emptied[k] then
        any, emptied[k] = true, nil
        local from = base[k]
        local kept = 0
        for j = 1, count[k] do
          local self = selves[from + j]
          if self then
            local one, to = ids[from + j], from + kept + 1
            selves[to] = self
            ids[to] = one
            where[one] = to
            kept = kept + 1
          end
        end
        for j = kept + 1, count[k] do selves[from + j] = false end
        count[k] = kept
      end
    end
    if any then publish() end
  end

  -- Takes away the agents of a list of ids (any order), wherever they live.
  function R.remove(list)
    for j = 1, #list do R.kill(list[j]) end
    if #list > 0 then R.compact(); publish() end
  end

  local function add_member(m, new)
    if not m.dirty then
      local need = m.n + 1
      if need > (m.room or 0) then
        m.room = floor(need * 1.5) + 8
        local bigger = i32(m.room)
        for q = 1, m.n do bigger[q] = m.ids[q] end
        m.ids = bigger
      end
      m.ids[need] = new
      m.n = need
    else
      m.late = m.late or {}
      m.late[#m.late + 1] = new
    end
  end

  -- Gives ids to newborns, in order: kinds[j] is the type of the j-th. Extends the placement by
  -- `new_shards` (workers). Returns the list of their ids and the index each has within its type.
  function R.add(kinds, new_shards)
    for j = 1, #new_shards do placement[#placement + 1] = new_shards[j] end
    local given, index, more = {}, {}, {}
    local first = R.last_id
    room_for_ids(first + #kinds)
    for j = 1, #kinds do
      local k, new = kinds[j], first + j
      given[j] = new
      born[k] = born[k] + 1
      index[j] = born[k]
      alive[k] = alive[k] + 1
      type_of[new] = k
      local host = host_of(new)
      if host == me then
        more[k] = (more[k] or 0) + 1
        where[new] = 0
      else
        where[new] = -(host + 1)
      end
    end
    make_room(more)
    for j = 1, #kinds do
      local k, new = kinds[j], given[j]
      add_member(members[k], new)
      if host_of(new) == me then
        local at = base[k] + count[k] + 1
        count[k] = count[k] + 1
        where[new] = at
        ids[at] = new
        selves[at] = false
      end
    end
    R.last_id = first + #kinds
    if #kinds > 0 then R.mixed = true end
    publish()
    return given, index
  end

  -- A newborn on the only worker there is -> its id, its index within its type, its slot.
  function R.add_one(k)
    local new = R.last_id + 1
    if new > id_room then room_for_ids(new) end
    if new > #placement * shard_size then placement[#placement + 1] = me end
    born[k], alive[k] = born[k] + 1, alive[k] + 1
    type_of[new] = k
    if count[k] >= room[k] then make_room({[k] = 1}) end
    add_member(members[k], new)
    local at = base[k] + count[k] + 1
    count[k] = count[k] + 1
    where[new] = at
    ids[at] = new
    selves[at] = false
    R.last_id, R.mixed = new, true
    publish()
    return new, born[k], at
  end

  -- Living ids of type k, ascending: an array from 1 and its length.
  function R.members(k)
    local m = members[k]
    if m.dirty then
      local late = m.late or {}
      local kept = i32(m.n + #late + 1)
      local n = 0
      for q = 1, m.n do
        local one = m.ids[q]
        if where[one] ~= 0 then n = n + 1; kept[n] = one end
      end
      for q = 1, #late do
        if where[late[q]] ~= 0 then n = n + 1; kept[n] = late[q] end
      end
      members[k] = {ids = kept, n = n, room = m.n + #late + 1}
      m = members[k]
    end
    return m.ids, m.n
  end

  -- The list that agents(type) returns: it always shows the members at tick start, for changes are
  -- applied when the tick closes. R.lists holds those made, by name of type.
  function R.list(k)
    local array, n = R.members(k)
    local content = {}
    for j = 1, n do content[j] = array[j] end
    local list = setmetatable({}, {
      __count = n,
      __index = content,
      __newindex = function() error("agents(...) is a read-only list: copy the ids you want to keep into a table of your own", 2) end,
    })
    R.lists[types[k].name] = list
    return list
  end

  -- The types of all ids ever given, as runs of (type, length); the dead keep theirs, because a
  -- message to a dead agent is checked against its type's handlers like any other.
  local function write_types(w)
    local runs = {}
    for each = 1, R.last_id do
      local k = type_of[each]
      if #runs > 0 and runs[#runs - 1] == k then
        runs[#runs] = runs[#runs] + 1
      else
        runs[#runs + 1] = k
        runs[#runs + 1] = 1
      end
    end
    w:array(#runs)
    for j = 1, #runs do w:int(runs[j]) end
  end

  function R.write(w)
    w:array(4)
    w:int(R.last_id)
    write_types(w)
    w:array(count_of_types)
    for k = 1, count_of_types do w:int(born[k]) end
    w:array(count_of_types)
    for k = 1, count_of_types do
      local array, n = R.members(k)
      w:array(n)
      for j = 1, n do w:int(array[j]) end
    end
  end

  -- Replaces everything by what R.write gave elsewhere.
  function R.restore(data)
    local last, runs, born_data, living = data[1], data[2], data[3], data[4]
    for s = 1, R.slots do selves[s] = nil end
    R.last_id = last
    id_room = last + 64
    where, type_of = i32(id_room), i32(id_room)
    local at = 0
    for j = 1, #runs, 2 do
      for _ = 1, runs[j + 1] do at = at + 1; type_of[at] = runs[j] end
    end
    slot = 0
    for k = 1, count_of_types do
      local here = {}
      base[k] = slot
      local array = i32(#living[k] + 1)
      for j = 1, #living[k] do
        local one = living[k][j]
        array[j] = one
        local host = host_of(one)
        if host == me then
          slot = slot + 1
          where[one] = slot
          here[#here + 1] = one
        else
          where[one] = -(host + 1)
        end
      end
      members[k] = {ids = array, n = #living[k], room = #living[k] + 1}
      count[k], room[k], born[k], alive[k] = #here, #here, born_data[k], #living[k]
    end
    R.slots = slot
    ids = i32(slot + 1)
    for each = 1, last do
      local s = where[each]
      if s > 0 then ids[s] = each; selves[s] = false end
    end
    R.mixed, R.thinned = true, true
    publish()
  end

  return R
end

return M
