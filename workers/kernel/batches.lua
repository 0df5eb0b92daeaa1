-- Batches: mail on its way to another worker, as bytes, and back. Six parts: the count; recipients,
-- senders, shapes and sequence numbers, each a block of int32; the columns of each shape. A block is
-- `true` and the number that all have, or `false` and the numbers as raw int32.

local D = ...
local codec, i32 = D.codec, D.buffer.i32
local error, ipairs = error, ipairs
local sort, floor = table.sort, math.floor

local M = {}

-- P: the plan. R: the roster. later: messages with delays that stand in the outbox.
function M.new(P, R, me, workers, later)
  local batches = {here_count = 0, here_valid = false}

  -- Messages by destination d, which is 0 for here and worker + 1 for the others: two numbers each,
  -- from 2 * d * out_room up to out_end[d] - 1. The first is the message; the second is its sequence
  -- number, or for those that stay here its slot, valid while nobody was born or died since.
  -- Flat and filled without a branch on the destination: half of those would be mispredicted, at
  -- more than the cost of all the rest. In one array, because with three the loop's speed
  -- depended on where they happened to lie in the cache (5 or 13 ns a message).
  local out_end, out_pairs, out_room = i32(workers + 1), nil, 0

  -- The (message, slot) pairs of what stays here; only while here_valid.
  function batches.here() return out_pairs, batches.here_count end

  local function out_of_room(count)
    if count < out_room then return end
    out_room = floor(count * 1.5) + 256
    out_pairs = i32((workers + 1) * out_room * 2)
  end

  -- Where `bits` has it: whole numbers all the way, no branch. w is a slot here or -(worker + 1).
  local address_plain
  if D.bit then
    local band, bor, bnot, bxor, arshift, tobit = D.bit.band, D.bit.bor, D.bit.bnot, D.bit.bxor, D.bit.arshift, D.bit.tobit
    function address_plain(lo, hi)
      local _, to, from = P.out()
      local where, ends, pairs = R.where, out_end, out_pairs
      local previous, seq = 0, 0
      for e = lo, hi do
        local sender = from[e]
        local other = bxor(sender, previous)
        seq = tobit(band(seq, bnot(arshift(bor(other, tobit(-other)), 31))) + 1)
        previous = sender
        local w = where[to[e]]
        local away = arshift(w, 31)
        local d = -band(w, away)
        local at = ends[d]
        pairs[at] = e
        pairs[at + 1] = bor(band(w, bnot(away)), band(seq, away))
        ends[d] = at + 2
      end
    end
  else
    function address_plain(lo, hi)
      local _, to, from = P.out()
      local where, ends, pairs = R.where, out_end, out_pairs
      local previous, seq = 0, 0
      for e = lo, hi do
        local sender = from[e]
        if sender == previous then seq = seq + 1 else previous = sender; seq = 1 end
        local w = where[to[e]]
        local d = w < 0 and -w or 0
        local at = ends[d]
        pairs[at] = e
        pairs[at + 1] = d == 0 and w or seq
        ends[d] = at + 2
      end
    end
  end

  -- With broadcasts, delays, or dead recipients (whose own worker counts the dead letter).
  local function address_any(lo, hi)
    local _, to, from = P.out()
    local where, host_of = R.where, R.host_of
    local previous, seq = 0, 0
    local function put(e, d)
      local at = out_end[d]
      out_pairs[at] = e; out_pairs[at + 1] = seq
      out_end[d] = at + 2
    end
    for e = lo, hi do
      local sender, recipient = from[e], to[e]
      if sender == previous then seq = seq + 1 else previous = sender; seq = 1 end
      if recipient > 0 then
        local w = where[recipient]
        if w == 0 then w = -host_of(recipient) - 1 end
        if w < 0 and -w - 1 ~= me then put(e, -w) end
      else
        for w = 0, workers - 1 do
          if w ~= me then put(e, w + 1) end
        end
      end
    end
  end

  local function address(lo, hi)
    local _, _, _, _, _, special = P.out()
    out_of_room(hi - lo + 2)
    for d = 0, workers do out_end[d] = d * out_room * 2 end
    batches.here_valid = lo == 1 and not special and not R.mixed and not R.thinned
    if batches.here_valid then
      address_plain(lo, hi)
      batches.here_count = out_end[0] / 2
    else
      address_any(lo, hi)
    end
  end

  local scratch, places, scratch_room = nil, nil, 0
  local writer = codec.writer()   -- one for all batches: growing a new one costs more than filling it

  local function put_block(numbers, count)
    local value, alike = numbers[0], true
    for k = 1, count - 1 do
      if numbers[k] ~= value then
        alike = false
        break
      end
    end
    writer:bool(alike)
    if alike then writer:int(value) else writer:i32s(numbers, 0, count) end
  end

  local function put_gathered(from, first, count)
    local pairs = out_pairs
    for k = 0, count - 1 do scratch[k] = from[pairs[first + k * 2]] end
    put_block(scratch, count)
  end

  local function put_sequences(first, count)
    local pairs = out_pairs
    for k = 0, count - 1 do scratch[k] = pairs[first + k * 2 + 1] end
    put_block(scratch, count)
  end

  -- The columns of one shape, in a batch of `count` messages.
  local function write_shape(s, shape, pos, first, count)
    local n, pairs = 0, out_pairs
    for k = 0, count - 1 do
      local e = pairs[first + k * 2]
      if shape[e] == s then
        n = n + 1
        places[n] = pos[e]
      end
    end
    if s == 0 then
      writer:array(3); writer:int(0); writer:int(n)
      writer:array(n)
      for k = 1, n do
        local one = later[places[k]]
        writer:array(3); writer:int(one.due); writer:int(one.kind); writer:value(one.body)
      end
      return
    end
    local columns = P.out_columns[s]()
    writer:array(2 + #columns); writer:int(s); writer:int(n)
    for c = 1, #columns do codec.gather(writer, columns[c], places, n) end
  end

  -- Batches of the messages lo..hi sent here to agents of other workers: {{worker, bytes}, ...}.
  function batches.export(lo, hi)
    local made = {}
    if hi < lo then return made end
    address(lo, hi)
    local _, to, from, shape, pos = P.out()
    if hi > scratch_room then
      scratch_room = floor(hi * 1.5) + 256
      scratch, places = i32(scratch_room), i32(scratch_room)
    end
    for w = 0, workers - 1 do
      local first = (w + 1) * out_room * 2
      local count = (out_end[w + 1] - first) / 2
      if w ~= me and count > 0 then
        local present, seen = {}, {}
        for k = 0, count - 1 do
          local s = shape[out_pairs[first + k * 2]]
          if not seen[s] then seen[s] = true; present[#present + 1] = s end
        end
        sort(present)
        writer:reset()
        writer:array(6)
        writer:int(count)
        put_gathered(to, first, count)
        put_gathered(from, first, count)
        put_gathered(shape, first, count)
        put_sequences(first, count)
        writer:array(#present)
        for _, s in ipairs(present) do write_shape(s, shape, pos, first, count) end
        made[#made + 1] = {w, writer:result()}
      end
    end
    return made
  end

  -- A block into array[at..]; numbers outside low..high are refused, for they become indices into
  -- memory that nothing guards.
  local function read_block(blob, pos, array, at, count, low, high)
    local alike
    alike, pos = codec.decode(blob, pos)
    if alike then
      local value
      value, pos = codec.decode(blob, pos)
      for k = at, at + count - 1 do array[k] = value end
    else
      pos = codec.read_i32s(blob, pos, array, at, count)
    end
    for k = at, at + count - 1 do
      if array[k] < low or array[k] > high then
        error("a batch names the number " .. array[k] .. " where " .. low .. " to " .. high .. " are allowed", 0)
      end
    end
    return pos
  end

  -- Takes a batch into the read store: first and last message there, and their sequence numbers.
  function batches.read(blob)
    local pos = 1
    local fields, count
    fields, pos = codec.array_header(blob, pos)
    if fields ~= 6 then error("a batch must have 6 parts, not " .. fields, 0) end
    count, pos = codec.decode(blob, pos)
    local at = P.extend(count)
    local _, rto, rfrom, rshape, rpos = P.inn()
    local seqs = i32(count)
    pos = read_block(blob, pos, rto, at + 1, count, -#R.count, R.last_id)
    pos = read_block(blob, pos, rfrom, at + 1, count, 1, R.last_id)
    pos = read_block(blob, pos, rshape, at + 1, count, 0, #P.peek)
    pos = read_block(blob, pos, seqs, 1, count, 1, 2147483647)
    local groups
    groups, pos = codec.array_header(blob, pos)
    local next_place = {}
    for _ = 1, groups do
      local parts, s, n
      parts, pos = codec.array_header(blob, pos)
      s, pos = codec.decode(blob, pos)
      n, pos = codec.decode(blob, pos)
      if s == 0 then
        local entries
        entries, pos = codec.decode(blob, pos)
        local base = #later
        for k = 1, n do later[base + k] = {due = entries[k][1], kind = entries[k][2], body = entries[k][3]} end
        next_place[0] = base + 1
      else
        local place, columns = P.take[s](n)
        for c = 1, parts - 2 do pos = codec.read_column(blob, pos, columns[c], place + 1) end
        next_place[s] = place + 1
      end
    end
    for e = at + 1, at + count do
      local s = rshape[e]
      rpos[e] = next_place[s]
      next_place[s] = next_place[s] + 1
    end
    return at + 1, at + count, seqs
  end

  return batches
end

return M
