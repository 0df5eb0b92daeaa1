-- Mail between the ticks: what was sent becomes mailboxes, in the order (sent tick, sender in agent
-- order, sequence); delays wait in a calendar; batches go to other workers and come from them.

local D = ...
local i32 = D.buffer.i32
local sort, floor, next = table.sort, math.floor, next

local M = {}

-- A calendar entry is a run of this many values in its day's list.
local STRIDE = 7    -- recipient, sender, seq, kind, body, sent tick, bound (broadcasts: last id reached)

-- P: the plan. R: the roster. own, shared, kind_of_shape: as plan.generate gave them.
function M.new(P, R, own, shared, kind_of_shape, me, workers)
  local mail = {calendar = {}, later = D.later, sent = 0, delivered = 0, dead = 0}
  local calendar, later = mail.calendar, mail.later
  local batches = D.batches.new(P, R, me, workers, later)
  mail.export = batches.export
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
  end
  mail.put_off = put_off

  -- A message that every worker makes alike, from the environment or the engine (id 0) in `tick`: the
  -- recipient's host keeps it.
  function mail.from_world(to, kind, body, due, seq, tick)
    local slot = R.where[to]
    if slot > 0 then
      mail.sent = mail.sent + 1
      put_off(due, to, 0, seq, kind, body, tick, 0)
    elseif slot == 0 and R.host_of(to) == me then
      mail.sent, mail.dead = mail.sent + 1, mail.dead + 1
    end
  end

  -- The same for every agent of type k.
  function mail.from_world_to_all(k, kind, body, due, seq, tick)
    local here = 0
    for slot = R.base[k] + 1, R.base[k] + R.count[k] do
      if R.where[R.ids[slot]] > 0 then here = here + 1 end
    end
    mail.sent = mail.sent + here
    put_off(due, -k, 0, seq, kind, body, tick, {R.last_id, here})
  end

  -- The calendar's entries for `tick`, as records, taken out; nil when there are none.
  function mail.take_calendar(tick)
    local day = calendar[tick]
    if not day then return nil end
    calendar[tick] = nil
    local list = {}
    for at = 0, day.n - STRIDE, STRIDE do
      list[#list + 1] = {to = day[at + 1], from = day[at + 2], seq = day[at + 3], kind = day[at + 4],
        body = day[at + 5], sent = day[at + 6], bound = day[at + 7]}
    end
    return list
  end

  -- Ends the part of the outbox that turns have filled.
  function mail.end_turns() main_end = P.sent_count() end

  -- A batch of another worker; it is read when the next tick opens. Phase 2: sent by newborns.
  function mail.arrive(source, phase, blob) arrived[#arrived + 1] = {source, phase, blob} end

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
        -- whoever was born or died at the close has moved others to other slots
        if ranges[r].here and batches.here_valid and not R.mixed and not R.thinned then
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
            local lo, hi, seqs = batches.read(arrived[j][3])
            foreign[#foreign + 1] = {lo, hi, seqs}
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
    local here, here_count = batches.here()
    room_for(here_count)
    for k = pairs_count, here_after + 1, -1 do
      es[k + here_count] = es[k]; ss[k + here_count] = ss[k]
    end
    for k = 0, here_count - 1 do
      es[here_after + 1 + k] = here[k * 2]; ss[here_after + 1 + k] = here[k * 2 + 1]
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
      local here, here_count = batches.here()
      local count = pairs_count + here_count
      ensure(slots, count)
      if sparse_allowed and count * 8 < slots then
        here_pairs()
      else
        P.sort_parts(slots, es, ss, here_after, here, here_count, pairs_count)
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
    P.sort_parts(slots, es, ss, count, es, 0, count)
    return count, nil
  end

  -- How many messages stand in a mailbox: at a slot, or at a place of the list that sort returned.
  function mail.mail_at(at) return first[at + 1] - first[at] end

  -- The (message, slot) pairs of the tick that was opened, when it is not `simple`.
  function mail.received()
    here_pairs()
    return pairs_count, es, ss
  end

  D.transit.extend(mail, P, R, kind_of_shape, STRIDE)
  return mail
end

return M
