-- Sorted rows of ids in one flat arena, by id: the lists of links that a network is made of.
--
-- Row `a` is to[start[a]] .. to[start[a] + len[a] - 1], ascending. A row that outgrows its room moves to the end of
-- the arena, which is packed when it is full. Weights stand in an array beside it once one differs from 1.

local D = ...
local i32, f64 = D.buffer.i32, D.buffer.f64
local floor = math.floor

-- Makes room for a list at once; growing one by one allocates it anew at each doubling.
local new_table = D.vm == "luajit" and require("table.new") or function() return {} end

local FIRST_ROOM = 4

local M = {}

function M.new()
  local R = {}
  local ids = 0                          -- rows 1..ids
  local start, len, room = i32(0), i32(0), i32(0)
  local to, weight = i32(0), nil         -- weight: nil while all are 1
  local top, size = 0, 0                 -- arena places used, and there are
  local entries = 0

  function R.reserve(last)
    if last <= ids then return end
    local more = floor(last * 1.5) + 16
    local s, l, r = i32(more), i32(more), i32(more)
    for a = 1, ids do s[a], l[a], r[a] = start[a], len[a], room[a] end
    start, len, room, ids = s, l, r, more
  end

  -- A new arena with every row's present room, and `more` places free at its end.
  local function pack(more)
    local used = 0
    for a = 1, ids do used = used + room[a] end
    size = floor((used + more) * 1.5) + 16
    local new_to, new_weight = i32(size), weight and f64(size)
    local at = 0
    for a = 1, ids do
      local from = start[a]
      for j = 0, len[a] - 1 do new_to[at + j] = to[from + j] end
      if new_weight then
        for j = 0, len[a] - 1 do new_weight[at + j] = weight[from + j] end
      end
      start[a] = at
      at = at + room[a]
    end
    to, weight, top = new_to, new_weight or nil, at
  end

  local function widen(a)
    local wanted = room[a] + floor(room[a] / 2) + FIRST_ROOM
    if top + wanted > size then pack(wanted) end
    local from, at = start[a], top
    for j = 0, len[a] - 1 do to[at + j] = to[from + j] end
    if weight then
      for j = 0, len[a] - 1 do weight[at + j] = weight[from + j] end
    end
    start[a], room[a], top = at, wanted, at + wanted
  end

  -- The place of b in row a, or where it would stand; whether it is there.
  local function find(a, b)
    if a > ids then return 0, false end
    local low = start[a]
    local high = low + len[a]
    while low < high do
      local middle = floor((low + high) / 2)
      if to[middle] < b then low = middle + 1 else high = middle end
    end
    return low, low < start[a] + len[a] and to[low] == b
  end

  local function need_weights()
    weight = f64(size)
    for j = 0, top - 1 do weight[j] = 1 end
  end

  -- Puts b into row a; true if it was not there.
  function R.put(a, b, w)
    R.reserve(a)
    if w ~= 1 and not weight then need_weights() end
    local at, there = find(a, b)
    if there then
      if weight then weight[at] = w end
      return false
    end
    if len[a] == room[a] then
      local offset = at - start[a]
      widen(a)
      at = start[a] + offset
    end
    local last = start[a] + len[a]
    for j = last, at + 1, -1 do to[j] = to[j - 1] end
    to[at] = b
    if weight then
      for j = last, at + 1, -1 do weight[j] = weight[j - 1] end
      weight[at] = w
    end
    len[a] = len[a] + 1
    entries = entries + 1
    return true
  end

  -- Takes b out of row a; true if it was there.
  function R.cut(a, b)
    local at, there = find(a, b)
    if not there then return false end
    local last = start[a] + len[a] - 1
    for j = at, last - 1 do to[j] = to[j + 1] end
    if weight then
      for j = at, last - 1 do weight[j] = weight[j + 1] end
    end
    len[a] = len[a] - 1
    entries = entries - 1
    return true
  end

  -- Empties row a and gives its room back.
  function R.clear(a)
    if a > ids then return end
    entries = entries - len[a]
    len[a], room[a] = 0, 0
  end

  function R.weight(a, b)
    local at, there = find(a, b)
    if not there then return nil end
    return weight and weight[at] or 1
  end

  function R.has(a, b)
    local _, there = find(a, b)
    return there
  end

  function R.count(a) return a <= ids and len[a] or 0 end

  function R.at(a, j) return to[start[a] + j] end

  function R.list(a)
    if a > ids then return {} end
    local from, n = start[a] - 1, len[a]
    local list = new_table(n, 0)
    for j = 1, n do list[j] = to[from + j] end
    return list
  end

  function R.entries() return entries end

  function R.last()
    for a = ids, 1, -1 do
      if len[a] > 0 then return a end
    end
    return 0
  end

  function R.weighted()
    if not weight then return false end
    for a = 1, ids do
      for j = start[a], start[a] + len[a] - 1 do
        if weight[j] ~= 1 then return true end
      end
    end
    return false
  end

  function R.bytes()
    if D.vm == "luajit" then return 12 * ids + size * (weight and 12 or 4) end
    return 2 * 16 * (3 * ids + size * (weight and 2 or 1)) -- tables grow by doubling
  end

  -- Rows 1..last, empty, with room for counts[a] ids each, in place of all there was; to be filled by R.append.
  function R.lay_out(counts, last, weighted)
    ids, top, entries, weight = 0, 0, 0, nil
    R.reserve(last)
    for a = 1, last do
      start[a], room[a] = top, counts[a]
      top = top + counts[a]
    end
    size = top
    to = i32(size)
    if weighted then weight = f64(size) end
  end

  -- b goes to the end of row a; if it stands there, `w` replaces its weight.
  function R.append(a, b, w)
    local n = len[a]
    local at = start[a] + n
    if n > 0 and to[at - 1] == b then
      at = at - 1
    else
      to[at] = b
      len[a] = n + 1
      entries = entries + 1
    end
    if weight then weight[at] = w end
  end

  -- Calls f(a, b, weight) for every entry, in order.
  function R.each(f)
    for a = 1, ids do
      for j = start[a], start[a] + len[a] - 1 do f(a, to[j], weight and weight[j] or 1) end
    end
  end

  return R
end

return M
