-- Mail between the ticks: what was sent becomes mailboxes, in the order (sent tick, sender in agent
-- order, sequence); delays wait in a calendar; batches go to other workers and come from them.

local D = ...
local codec, i32 = D.codec, D.buffer.i32
local sort, floor, min, next = table.sort, math.floor, math.min, next

local M = {}

-- A calendar entry is a run of this many values in its day's list.
local STRIDE = 7    -- recipient, sender, seq, kind, body, sent tick, bound (broadcasts: last id reached)

-- P: the plan. R: the roster. own, shared, kind_of_shape: as plan.generate gave them.
function M.new(P, R, own, shared, kind_of_shape, me, workers)
  local mail = {calendar = {}, later = D.later, sent = 0, delivered = 0, dead = 0, waiting = 0}
  local calendar, later = mail.calendar, mail.later
  local arrived = {}                     -- batches of other workers: {source, phase, blob}
  local opened = false
  local main_end = 0                     -- messages 1..main_end were sent in turns, the rest by newborns
  local removed = {}                     -- per type: agents hosted here that the last close removed
  local removed_ids = {}
  local sent_bound = 0                   -- last id alive in the tick whose mail is under way
  local foreign = {}                     -- the batches read: {first message, last message, seqs}
  local held_seq, held_sent = {}, {}     -- of messages that waited in the calendar: by message
  local first_room, order_room = 0, 0
  local first, order, es, ss, pair_room = nil, nil, nil, nil, 0
  local counter, counter_room = nil, -1
  local touched = {}
  local shapes_of = {}                   -- per kind: 1 at its shapes, else 0
  for s = 1, #kind_of_shape do
    local kind = kind_of_shape[s]
    shapes_of[kind] = shapes_of[kind] or i32(#kind_of_shape)
    shapes_of[kind][s] = 1
  end

  local function ensure(slots, count)
    if slots + 2 > first_room or count + 1 > order_room then
      if slots + 2 > first_room then first_room = floor((slots + 2) * 1.25); first = i32(first_room) end
      if count + 1 > order_room then order_room = floor((count + 1) * 1.5) + 64; order = i32(order_room * 4) end
      P.mailboxes(first, order)
    end
  end

  local pairs_count = 0

  -- Room for `more` further (message, slot) pairs.
  local function room_for(more)
    local need = pairs_count + more
    if need <= pair_room then return end
    local bigger = floor(need * 1.5) + 1024
    local a, b = i32(bigger), i32(bigger)
    for j = 1, pairs_count do a[j] = es[j]; b[j] = ss[j] end
    es, ss, pair_room = a, b, bigger
  end

  local function push(e, s)
    room_for(1)
    pairs_count = pairs_count + 1
    es[pairs_count] = e; ss[pairs_count] = s
  end

  -- The sequence number of message e of a store that was filled here: its place in its sender's run.
  local function sequence(e, from, lowest)
    local k, sender = 1, from[e]
    local j = e - 1
    while j >= lowest and from[j] == sender do k = k + 1; j = j - 1 end
    return k
  end

  local function sequence_of(e, from)
    if held_seq[e] then return held_seq[e] end
    for j = 1, #foreign do
      local batch = foreign[j]
      if e >= batch[1] and e <= batch[2] then return batch[3][e - batch[1] + 1] end
    end
    return sequence(e, from, e > mail.read_main_end and mail.read_main_end + 1 or 1)
  end

  -- Sent tick, kind index and sequence of a message of the read store.
  function mail.about(e, tick)
    local _, _, rfrom, rshape = P.inn()
    return held_sent[e] or tick - 1, kind_of_shape[rshape[e]], sequence_of(e, rfrom)
  end

  -- Adds a message with a body of its own to the read store.
  local function append_read(to, from, shape, body, seq, sent)
    local e = P.extend(1) + 1
    local _, rto, rfrom, rshape, rpos = P.inn()
    rto[e] = to; rfrom[e] = from; rshape[e] = shape
    rpos[e] = P.take_body[shape](body)
    held_seq[e] = seq
    held_sent[e] = sent
    return e
  end

  local function put_off(due, to, from, seq, kind, body, sent, bound)
    local day = calendar[due]
    if not day then day = {n = 0}; calendar[due] = day end
    local at = day.n
    day[at + 1], day[at + 2], day[at + 3], day[at + 4] = to, from, seq, kind
    day[at + 5], day[at + 6], day[at + 7] = body, sent, bound
    day.n = at + STRIDE
    mail.waiting = mail.waiting + 1
  end
  mail.put_off = put_off

  -- Ends the part of the outbox that turns have filled.
  function mail.end_turns() main_end = P.sent_count() end

  -- Messages by destination: out_list[d * out_room + k] is the k-th (from 0) for destination d, which
  -- is 0 for here and worker + 1 for the others. Flat, and filled without a branch on the
  -- destination: half of those would be mispredicted, at more than the cost of all the rest.
  local out_count, out_list, out_seq, out_room = i32(workers + 1), nil, nil, 0
  -- The slots of those for here, valid while nobody was born or died since.
  local here_slots, here_count, here_valid = nil, 0, false

  local function out_of_room(count)
    if count < out_room then return end
    out_room = floor(count * 1.5) + 256
    out_list, out_seq = i32((workers + 1) * out_room), i32((workers + 1) * out_room)
    here_slots = i32(out_room)
  end

  local function address_plain(lo, hi)
    local _, to, from = P.out()
    local where, count, list, seqs, room, slots = R.where, out_count, out_list, out_seq, out_room, here_slots
    local previous, seq = 0, 0
    for e = lo, hi do
      local sender = from[e]
      if sender == previous then seq = seq + 1 else previous = sender; seq = 1 end
      local w = where[to[e]]
      local d = -min(w, 0)
      local k = count[d]
      local at = d * room + k
      list[at] = e; seqs[at] = seq
      slots[count[0]] = w
      count[d] = k + 1
    end
  end

  -- With broadcasts, delays, or dead recipients (whose own worker counts the dead letter).
  local function address_any(lo, hi)
    local _, to, from = P.out()
    local where, host_of = R.where, R.host_of
    local previous, seq = 0, 0
    local function put(e, d)
      local k = out_count[d]
      out_list[d * out_room + k] = e; out_seq[d * out_room + k] = seq
      out_count[d] = k + 1
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
    for d = 0, workers do out_count[d] = 0 end
    here_valid = lo == 1 and not special and not R.mixed and not R.thinned
    if here_valid then
      address_plain(lo, hi)
      here_count = out_count[0]
    else
      address_any(lo, hi)
    end
  end

  local scratch, places, scratch_room = nil, nil, 0
  local writer = codec.writer()   -- one for all batches: growing a new one costs more than filling it

  local function gather_i32(from, first, count)
    local list = out_list
    for k = 0, count - 1 do scratch[k] = from[list[first + k]] end
    writer:i32s(scratch, 0, count)
  end

  -- The columns of one shape, in a batch of `count` messages.
  local function write_shape(s, shape, pos, first, count)
    local n, list = 0, out_list
    for k = 0, count - 1 do
      local e = list[first + k]
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
  function mail.export(lo, hi)
    local batches = {}
    if hi < lo then return batches end
    address(lo, hi)
    local _, to, from, shape, pos = P.out()
    if hi > scratch_room then
      scratch_room = floor(hi * 1.5) + 256
      scratch, places = i32(scratch_room), i32(scratch_room)
    end
    for w = 0, workers - 1 do
      local count = out_count[w + 1]
      if w ~= me and count > 0 then
        local first = (w + 1) * out_room
        local present, seen = {}, {}
        for k = 0, count - 1 do
          local s = shape[out_list[first + k]]
          if not seen[s] then seen[s] = true; present[#present + 1] = s end
        end
        sort(present)
        writer:reset()
        writer:array(6)
        writer:int(count)
        gather_i32(to, first, count)
        gather_i32(from, first, count)
        gather_i32(shape, first, count)
        writer:i32s(out_seq, first, count)
        writer:array(#present)
        for _, s in ipairs(present) do write_shape(s, shape, pos, first, count) end
        batches[#batches + 1] = {w, writer:result()}
      end
    end
    return batches
  end

  -- A batch of another worker; it is read when the next tick opens. Phase 2: sent by newborns.
  function mail.arrive(source, phase, blob) arrived[#arrived + 1] = {source, phase, blob} end

  local function import(blob)
    local pos = 1
    local fields, count
    fields, pos = codec.array_header(blob, pos)
    if fields ~= 6 then error("a batch must have 6 parts, not " .. tostring(fields)) end
    count, pos = codec.decode(blob, pos)
    local at = P.extend(count)
    local _, rto, rfrom, rshape, rpos = P.inn()
    pos = codec.read_i32s(blob, pos, rto, at + 1, count)
    pos = codec.read_i32s(blob, pos, rfrom, at + 1, count)
    pos = codec.read_i32s(blob, pos, rshape, at + 1, count)
    local seqs = i32(count)
    pos = codec.read_i32s(blob, pos, seqs, 1, count)
    foreign[#foreign + 1] = {at + 1, at + count, seqs}
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
    return at + 1, at + count
  end

  local function deliver_broadcast(e, k, sender, bound)
    local from, count, ids = R.base[k], R.count[k], R.ids
    local reached = 0
    for s = from + 1, from + count do
      local id = ids[s]
      if id > bound then break end
      if id ~= sender then push(e, s); reached = reached + 1 end
    end
    return reached
  end

  -- What the last close took away: `ids` hosted here. Needed to count a broadcast's dead letters.
  function mail.removed(ids)
    removed, removed_ids = {}, {}
    for j = 1, #ids do
      local k = R.type_of[ids[j]]
      removed[k] = (removed[k] or 0) + 1
      removed_ids[ids[j]] = true
    end
  end

  local function lost_of(k, sender)
    local lost = removed[k] or 0
    if lost > 0 and removed_ids[sender] and R.type_of[sender] == k then lost = lost - 1 end
    return lost
  end

  function mail.set_bound(bound) sent_bound = bound end

  -- A message with a delay goes into the calendar: the one for a single agent, or this worker's part
  -- of a broadcast.
  local function put_later(e, to, sender, place, tick)
    local _, _, rfrom = P.inn()
    local one = later[place]
    local seq = sequence_of(e, rfrom)
    if to > 0 then
      local slot = R.where[to]
      if slot > 0 then
        put_off(one.due, to, sender, seq, one.kind, one.body, tick - 1, 0)
      elseif slot == 0 and R.host_of(to) == me then
        mail.dead = mail.dead + 1
      end
      return
    end
    local k = -to
    local expected = 0
    for slot = R.base[k] + 1, R.base[k] + R.count[k] do
      local id = R.ids[slot]
      if id > sent_bound then break end
      if id ~= sender then expected = expected + 1 end
    end
    mail.dead = mail.dead + lost_of(k, sender)
    put_off(one.due, to, sender, seq, one.kind, one.body, tick - 1, {sent_bound, expected})
  end

  -- Messages lo..hi of the read store, in order, to the slots of their recipients here.
  local function take_range(lo, hi, tick)
    room_for(hi - lo + 1)
    local _, rto, rfrom, rshape, rpos = P.inn()
    local where = R.where
    local e = lo
    while e <= hi do
      local list, slots, k = es, ss, pairs_count
      -- plain messages in a tight loop; it is left for the others
      while e <= hi do
        local to = rto[e]
        if to < 0 or rshape[e] == 0 then break end
        local slot = where[to]
        if slot > 0 then
          k = k + 1
          list[k] = e; slots[k] = slot
        elseif slot == 0 and R.host_of(to) == me then
          mail.dead = mail.dead + 1
        end
        e = e + 1
      end
      pairs_count = k
      if e <= hi then
        local to, sender = rto[e], rfrom[e]
        if rshape[e] == 0 then
          put_later(e, to, sender, rpos[e], tick)
        else
          deliver_broadcast(e, -to, sender, sent_bound)
          mail.dead = mail.dead + lost_of(-to, sender)
          room_for(hi - e + 1)
        end
        e = e + 1
      end
    end
  end

  -- Ranges {lo, hi}, each in agent order of senders, as one in agent order. No sender is in two.
  -- Those sent here by turns need no second look when `address` has seen their slots: they stand in
  -- lists of their own, after the first `here_after` pairs; -1 for none.
  local here_after = -1

  local function take_merged(ranges, tick)
    if #ranges == 1 or not R.mixed then
      for r = 1, #ranges do
        if ranges[r].here and here_valid then
          here_after = pairs_count
        else
          take_range(ranges[r][1], ranges[r][2], tick)
        end
      end
      return
    end
    local _, _, rfrom = P.inn()
    local type_of = R.type_of
    local function rank(e)
      local sender = rfrom[e]
      return type_of[sender] * 4294967296 + sender
    end
    while #ranges > 0 do
      local best, lowest, next_lowest = 0, math.huge, math.huge
      for r = 1, #ranges do
        local k = rank(ranges[r][1])
        if k < lowest then
          best, lowest, next_lowest = r, k, lowest
        elseif k < next_lowest then
          next_lowest = k
        end
      end
      local lo, hi = ranges[best][1], ranges[best][2]
      local e = lo
      while e <= hi and rank(e) < next_lowest do e = e + 1 end
      take_range(lo, e - 1, tick)
      if e > hi then table.remove(ranges, best) else ranges[best][1] = e end
    end
  end

  -- The mail that waited for this tick; it was sent earlier than what the last tick sent.
  local function take_day(day)
    mail.waiting = mail.waiting - day.n / STRIDE
    for at = 0, day.n - STRIDE, STRIDE do
      local to, sender, seq, kind = day[at + 1], day[at + 2], day[at + 3], day[at + 4]
      local body, sent, bound = day[at + 5], day[at + 6], day[at + 7]
      if to > 0 then
        local e = append_read(to, sender, own[kind], body, seq, sent)
        local s = R.where[to]
        if s > 0 then push(e, s) else mail.dead = mail.dead + 1 end
      else
        local e = append_read(to, sender, shared[kind], body, seq, sent)
        local reached = deliver_broadcast(e, -to, sender, bound[1])
        mail.dead = mail.dead + bound[2] - reached
      end
    end
  end

  -- Everything sent in the last closed tick becomes readable. Idempotent until the next tick runs.
  function mail.open(tick)
    if opened then return end
    opened = true
    local n, _, _, _, _, special = P.out()
    local day = calendar[tick]
    mail.sent = mail.sent + P.sent()
    P.swap()
    mail.read_main_end = main_end
    if #foreign > 0 then foreign = {} end
    if next(held_seq) then held_seq, held_sent = {}, {} end
    mail.simple = workers == 1 and not special and not day and (main_end == n or not R.mixed)
    if mail.simple then return end
    pairs_count = 0
    here_after = -1
    if day then
      calendar[tick] = nil
      take_day(day)
    end
    local ranges, newborn = {}, {}
    for w = 0, workers - 1 do
      if w == me then
        if main_end > 0 then ranges[#ranges + 1] = {1, main_end, here = true} end
        if n > main_end then newborn[#newborn + 1] = {main_end + 1, n} end
      else
        for j = 1, #arrived do
          if arrived[j][1] == w then
            local lo, hi = import(arrived[j][3])
            local list = arrived[j][2] == 2 and newborn or ranges
            if hi >= lo then list[#list + 1] = {lo, hi} end
          end
        end
      end
    end
    if #arrived > 0 then arrived = {} end
    for r = 1, #newborn do ranges[#ranges + 1] = newborn[r] end
    take_merged(ranges, tick)
    for j = #later, 1, -1 do later[j] = nil end
  end

  -- Brings those lists in among the pairs, for the less frequent readers.
  local function here_pairs()
    if here_after < 0 then return end
    room_for(here_count)
    for k = pairs_count, here_after + 1, -1 do
      es[k + here_count] = es[k]; ss[k + here_count] = ss[k]
    end
    for k = 0, here_count - 1 do
      es[here_after + 1 + k] = out_list[k]; ss[here_after + 1 + k] = here_slots[k]
    end
    pairs_count = pairs_count + here_count
    here_after = -1
  end

  -- Makes the mailboxes of the tick that was opened. Returns the number of messages in them, and
  -- for a tick with little mail the sorted list of the slots that have any (see plan.turns).
  function mail.sort(sparse_allowed)
    opened = false
    main_end = 0
    local slots = R.slots
    if mail.simple then
      local n, rto = P.inn()
      ensure(slots, n)
      if not (sparse_allowed and n * 8 < slots) then
        local dead = P.sort_all(slots)
        mail.dead = mail.dead + dead
        return n - dead, nil
      end
      pairs_count = 0
      local where = R.where
      for e = 1, n do
        local s = where[rto[e]]
        if s > 0 then push(e, s) else mail.dead = mail.dead + 1 end
      end
    else
      ensure(slots, pairs_count)
    end
    if here_after >= 0 then
      local count = pairs_count + here_count
      ensure(slots, count)
      if sparse_allowed and count * 8 < slots then
        here_pairs()
      else
        P.sort_parts(slots, es, ss, here_after, out_list, here_slots, here_count, pairs_count)
        return count, nil
      end
    end
    local count = pairs_count
    if sparse_allowed and count * 8 < slots then
      if slots > counter_room then counter_room = floor(slots * 1.25) + 16; counter = i32(counter_room) end
      for k = #touched, 1, -1 do touched[k] = nil end
      local many = 0
      for k = 1, count do
        local s = ss[k]
        if counter[s] == 0 then many = many + 1; touched[many] = s end
        counter[s] = counter[s] + 1
      end
      sort(touched)
      local total = 0
      for k = 1, many do
        first[k] = total
        local s = touched[k]
        local c = counter[s]
        counter[s] = total
        total = total + c
      end
      first[many + 1] = total
      for k = 1, count do
        local s = ss[k]
        P.place(counter[s], es[k])
        counter[s] = counter[s] + 1
      end
      for k = 1, many do counter[touched[k]] = 0 end
      return count, touched
    end
    P.sort_parts(slots, es, ss, count, es, ss, 0, count)
    return count, nil
  end

  -- Messages of a kind under way to living agents, that were sent or are held here; before the next
  -- tick opens. Calls visit(msg, times, sender, sent tick) for each, when given; returns their number.
  function mail.under_way(kind, tick, visit)
    local n, to, from, shape, pos, special = P.out()
    local where, wanted = R.where, shapes_of[kind]
    local total = 0
    if not special and not R.thinned and not visit then
      for e = 1, n do total = total + wanted[shape[e]] end
    else
      local peek = P.peek_out
      for e = 1, n do
        local recipient, s = to[e], shape[e]
        local delayed = s == 0 and later[pos[e]]
        if wanted[s] == 1 or (delayed and delayed.kind == kind) then
          local times = 1
          if recipient < 0 then
            times = mail.audience_now(-recipient, from[e])
          elseif where[recipient] == 0 then
            times = 0
          end
          total = total + times
          if visit and times > 0 then visit(delayed and delayed.body or peek[s](pos[e]), times, from[e], tick) end
        end
      end
    end
    for _, day in pairs(calendar) do
      for at = 0, day.n - STRIDE, STRIDE do
        if day[at + 4] == kind then
          local recipient, times = day[at + 1], 1
          if recipient < 0 then
            times = mail.audience_now(-recipient, day[at + 2], day[at + 7])
          elseif where[recipient] == 0 then
            times = 0
          end
          total = total + times
          if visit and times > 0 then visit(day[at + 5], times, day[at + 2], day[at + 6]) end
        end
      end
    end
    return total
  end

  -- Mail waiting for each agent hosted here, in reading order: slot -> list of
  -- {due, sent, sender, seq, kind, body}. Opens the tick after `tick`.
  function mail.waiting_by_slot(tick)
    mail.open(tick + 1)
    here_pairs()
    local boxes = {}
    local function add(slot, due, sent, sender, seq, kind, body)
      local box = boxes[slot]
      if not box then box = {}; boxes[slot] = box end
      box[#box + 1] = {due, sent, sender, seq, kind, body}
    end
    local n, rto, rfrom, rshape, rpos = P.inn()
    local function take(e, slot)
      local sent, kind, seq = mail.about(e, tick + 1)
      add(slot, tick + 1, sent, rfrom[e], seq, kind, P.peek[rshape[e]](rpos[e]))
    end
    if mail.simple then
      for e = 1, n do
        local slot = R.where[rto[e]]
        if slot > 0 then take(e, slot) end
      end
    else
      for k = 1, pairs_count do take(es[k], ss[k]) end
    end
    local dues = {}
    for due in pairs(calendar) do dues[#dues + 1] = due end
    sort(dues)
    for _, due in ipairs(dues) do
      local day = calendar[due]
      for at = 0, day.n - STRIDE, STRIDE do
        local to, sender, seq, kind, body, sent = day[at + 1], day[at + 2], day[at + 3], day[at + 4], day[at + 5], day[at + 6]
        if to > 0 then
          local slot = R.where[to]
          if slot > 0 then add(slot, due, sent, sender, seq, kind, body) end
        else
          local k = -to
          for slot = R.base[k] + 1, R.base[k] + R.count[k] do
            local id = R.ids[slot]
            if id > day[at + 7][1] then break end
            if id ~= sender then add(slot, due, sent, sender, seq, kind, body) end
          end
        end
      end
    end
    return boxes
  end

  return mail
end

return M
