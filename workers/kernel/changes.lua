-- What the agents of this worker ask of the shared world in a tick: mail to the environment, layer values,
-- moves, links, and their published fields. It is applied when the tick closes, by every worker alike, in
-- agent order. Each part is a few flat lists side by side; the turns of a tick append in agent order.
--
-- An init that runs at a close asks for the next close, so these lists may hold something between ticks.

local D = ...
local codec = D.codec
local ipairs = ipairs
local sort = table.sort

local M = {}

-- The lists of each part; `id` is who asks.
local PARTS = {
  {"mail", {"id", "kind", "delay", "body"}},
  {"ops", {"id", "layer", "op", "cell", "value"}},
  {"moves", {"id", "x", "y", "z"}},
  {"links", {"id", "other", "op", "weight"}},
}

local function empty_part(lists)
  local part = {n = 0}
  for _, name in ipairs(lists) do part[name] = {} end
  return part
end

local NONE = {n = 0}                -- a part that nobody asked anything of

local function empty()
  local C = {}
  for _, part in ipairs(PARTS) do C[part[1]] = empty_part(part[2]) end
  return C
end

-- world: program, roster, published (field -> table id -> value).
function M.new(world)
  local C, spare = empty(), empty()
  C.mover = 0                      -- whose move stands last: a later one of the same turn replaces it
  C.shown = {}                     -- published fields that changed, as published.lua lists them
  local R = world.roster
  local mail, ops, moves, links = C.mail, C.ops, C.moves, C.links

  function C.add_mail(id, kind, delay, body)
    local n = mail.n + 1
    mail.id[n], mail.kind[n], mail.delay[n], mail.body[n] = id, kind, delay, body
    mail.n = n
  end

  -- op: 1 add, 2 set; cell from 0.
  function world.defer(layer, op, cell, value)
    local n = ops.n + 1
    ops.id[n], ops.layer[n], ops.op[n], ops.cell[n], ops.value[n] = world.crumb[0], layer, op, cell, value
    ops.n = n
  end

  function C.add_move(id, x, y, z)
    local n = moves.n
    if C.mover ~= id then
      n = n + 1
      moves.n, C.mover = n, id
      moves.id[n] = id
    end
    moves.x[n], moves.y[n], moves.z[n] = x, y, z or 0
  end

  -- Where agent `id` has asked to go in this turn; nil when it has not.
  function C.going(id)
    if C.mover ~= id then return nil end
    local n = moves.n
    return moves.x[n], moves.y[n], moves.z[n]
  end

  -- op: 1 link, 2 unlink.
  function C.add_link(id, other, op, weight)
    local n = links.n + 1
    links.id[n], links.other[n], links.op[n], links.weight[n] = id, other, op, weight
    links.n = n
  end

  function C.begin_tick() C.mover = 0 end

  function C.any()
    return mail.n > 0 or ops.n > 0 or moves.n > 0 or links.n > 0 or #C.shown > 0
  end

  -- The parts as they are, for whoever applies them before the next close. This goes on with the lists that were
  -- taken the time before: the JIT lets no garbage be collected where a list grows, and new ones every tick were 8 MB
  -- a tick that nobody took away.
  function C.take()
    local taken = {mail = mail, ops = ops, moves = moves, links = links, shown = C.shown}
    for _, part in ipairs(PARTS) do
      local name = part[1]
      if C[name].n > 0 then
        C[name], spare[name] = spare[name], C[name]
        C[name].n = 0
      end
    end
    if mail.n > 0 then C.mail.body = {} end      -- what was sent is not kept for it
    mail, ops, moves, links = C.mail, C.ops, C.moves, C.links
    C.shown, C.mover = {}, 0
    return taken
  end

  -- Bytes ------------------------------------------------------------------------------------------------

  function C.write(w, taken)
    w:array(#PARTS + 1)
    for _, part in ipairs(PARTS) do
      local lists = taken[part[1]]
      w:array(#part[2] + 1)
      w:int(lists.n)
      for _, name in ipairs(part[2]) do codec.column(w, lists[name], 1, lists.n) end
    end
    w:array(#taken.shown)
    for _, one in ipairs(taken.shown) do
      w:array(4)
      w:int(one[1]); w:int(one[2])
      codec.column(w, one[3], 1, one[2])
      codec.column(w, one[4], 1, one[2])
    end
  end

  local read_before = {}             -- by number of the stream: its lists are used again, as those above

  -- The changes of the `which`-th worker that has some, good until the next close.
  function C.read(bytes, pos, which)
    local taken, _ = read_before[which] or empty(), nil
    read_before[which] = taken
    taken.shown = {}
    _, pos = codec.array_header(bytes, pos)
    for _, part in ipairs(PARTS) do
      local lists = taken[part[1]]
      _, pos = codec.array_header(bytes, pos)
      lists.n, pos = codec.decode(bytes, pos)
      for _, name in ipairs(part[2]) do pos = codec.read_column(bytes, pos, lists[name], 1) end
    end
    local count
    count, pos = codec.array_header(bytes, pos)
    for j = 1, count do
      local one = {0, 0, {}, {}}
      _, pos = codec.array_header(bytes, pos)
      one[1], pos = codec.decode(bytes, pos)
      one[2], pos = codec.decode(bytes, pos)
      pos = codec.read_column(bytes, pos, one[3], 1)
      pos = codec.read_column(bytes, pos, one[4], 1)
      taken.shown[j] = one
    end
    return taken, pos
  end

  -- Merging ----------------------------------------------------------------------------------------------

  -- The named part of all workers in agent order; what one agent asked stays in its order.
  function C.merged(streams, name)
    local first, all = nil, nil
    local lists = nil
    for _, part in ipairs(PARTS) do
      if part[1] == name then lists = part[2] end
    end
    for _, taken in ipairs(streams) do
      local one = taken[name]
      if one.n > 0 then
        if not first then
          first = one
        else
          if not all then all = first end
          local at = all.n
          for _, list in ipairs(lists) do
            local to, from = all[list], one[list]
            for j = 1, one.n do to[at + j] = from[j] end
          end
          all.n = at + one.n
        end
      end
    end
    all = all or first
    if not all then return NONE end
    local type_of, ids, n = R.type_of, all.id, all.n
    local in_order = true
    for j = 2, n do
      local a, b = ids[j - 1], ids[j]
      if type_of[a] > type_of[b] or (type_of[a] == type_of[b] and a > b) then in_order = false break end
    end
    if in_order then return all end
    local places = {}
    for j = 1, n do places[j] = j end
    sort(places, function(p, q)
      local a, b = ids[p], ids[q]
      if a == b then return p < q end
      if type_of[a] ~= type_of[b] then return type_of[a] < type_of[b] end
      return a < b
    end)
    local ordered = empty_part(lists)
    ordered.n = n
    for _, list in ipairs(lists) do
      local to, from = ordered[list], all[list]
      for j = 1, n do to[j] = from[places[j]] end
    end
    return ordered
  end

  -- For dumps: what each agent has asked for the next close, id -> list of {part, values...}.
  function C.waiting()
    local found = {}
    for _, part in ipairs(PARTS) do
      local lists = C[part[1]]
      for j = 1, lists.n do
        local entry = {"@" .. part[1]}
        for at, name in ipairs(part[2]) do
          if at > 1 then entry[at] = lists[name][j] end
        end
        local id = lists.id[j]
        found[id] = found[id] or {}
        found[id][#found[id] + 1] = entry
      end
    end
    return found
  end

  function C.restore(id, entry)
    for _, part in ipairs(PARTS) do
      if entry[1] == "@" .. part[1] then
        local lists = C[part[1]]
        local n = lists.n + 1
        lists.n = n
        lists.id[n] = id
        for at, name in ipairs(part[2]) do
          if at > 1 then lists[name][n] = entry[at] end
        end
      end
    end
  end

  return C
end

return M
