-- The hot path, generated for one model: senders, receivers and turn loops.
--
-- Messages stand in two stores, `out` (being sent) and `inn` (being read), swapped when a tick opens.
-- A store is four flat arrays (recipient, sender, shape, place) and, per shape, one Lua array for
-- each field of the body: a *column*. A body is never built when it is sent; the receiver's table is
-- built by a constructor of fixed shape, which the JIT often removes altogether.
--
-- It is generated, because (1) all these closures must share their mutable upvalues, which is several
-- times cheaper than table fields, and (2) every agent type needs loops of its own, or the JIT would
-- compile one trace tree for all of them.
--
-- Shapes 1..n are those the front end found; then each kind has two *boxed* shapes, whose only
-- column holds a body table: `own` (the table is handed over) and `shared` (a broadcast: copied at
-- delivery). Shape 0 marks a message with a delay; its place is an index into the list of `later`.

local D = ...
local concat, format = table.concat, string.format

local HEAD = [==[
local R = ...
local type, i32, crumb, Q, arm, later = type, R.i32, R.crumb, R.Q, R.arm, R.later
local send_slow, broadcast_slow, bad_recipient, unhandled = R.send_slow, R.broadcast_slow, R.bad_recipient, R.unhandled
local too_many, copy, audience, locked, broadcast_type = R.too_many, R.copy, R.audience, R.locked, R.broadcast_type
local where, type_of, last_id = R.where, R.type_of, 0
local selves, ids, first, order = R.selves, R.ids, nil, nil
local order_size = 0
local gone, handling = false, 0
local FUEL, LIMIT = R.fuel, R.send_limit
local n, start, stop, cap, extra, special = 0, 0, 0, 1024, 0, false
local to_, from_, shape_, pos_ = i32(cap), i32(cap), i32(cap), i32(cap)
local rn, rcap = 0, 1024
local rto, rfrom, rshape, rpos = i32(rcap), i32(rcap), i32(rcap), i32(rcap)
local P = {S = {}, B = {}, T = {}, swaps = {}, peek = {}, peek_out = {}, out_columns = {}, take = {}, links = {}, turns = {}, mailed = {}}

local function grown(a, size, more)
  local b = i32(more)
  for i = 0, size do b[i] = a[i] end
  return b
end

local function full()
  if n - start >= LIMIT then too_many() end
  if n >= cap then
    local more = cap * 2
    to_, from_ = grown(to_, cap, more), grown(from_, cap, more)
    shape_, pos_ = grown(shape_, cap, more), grown(pos_, cap, more)
    cap = more
  end
  stop = start + LIMIT
  if stop > cap then stop = cap end
end

-- A message in any shape, its place already known.
function P.put(to, shape, place)
  if n >= stop then full() end
  local e = n + 1
  to_[e] = to; from_[e] = crumb[0]; shape_[e] = shape; pos_[e] = place
  n = e
  if shape == 0 or to < 0 then special = true end
end

function P.widen(count) extra = extra + count end

-- Opens the turn of an agent: its sends, fuel and random stream.
function P.begin(id)
  crumb[0] = id
  start = n; stop = n + LIMIT
  if stop > cap then stop = cap end
  Q.n = FUEL; arm(id); gone = false; handling = 0
end
function P.leave() gone = true end
function P.is_gone() return gone end
function P.handling() return handling end
function P.set_handling(e) handling = e end

-- What `begin` of another agent's turn overwrites, for the one that waits.
function P.suspend() return start, gone, handling end
function P.resume(a, b, c)
  start, gone, handling = a, b, c
  stop = start + LIMIT
  if stop > cap then stop = cap end
end

function P.roster(w, t, last, s, i) where, type_of, last_id, selves, ids = w, t, last, s, i end
function P.sent() return n + extra end
function P.sent_count() return n end
function P.out() return n, to_, from_, shape_, pos_, special end
function P.inn() return rn, rto, rfrom, rshape, rpos end

-- What was sent becomes what is read.
function P.swap()
  to_, rto = rto, to_; from_, rfrom = rfrom, from_; shape_, rshape = rshape, shape_; pos_, rpos = rpos, pos_
  cap, rcap = rcap, cap
  rn = n; n = 0; extra = 0; special = false; start = 0; stop = 0
  local swaps = P.swaps
  for s = 1, #swaps do swaps[s]() end
end

-- Room for `count` more messages to be read; returns the number of those there.
function P.extend(count)
  local need = rn + count
  if need > rcap then
    local more = rcap
    while more < need do more = more * 2 end
    rto, rfrom = grown(rto, rcap, more), grown(rfrom, rcap, more)
    rshape, rpos = grown(rshape, rcap, more), grown(rpos, rcap, more)
    rcap = more
  end
  local at = rn
  rn = need
  return at
end

-- Room for mailboxes of `slots` slots and `count` messages.
function P.mailboxes(f, o) first, order = f, o end

-- Counting sort of the messages read over their recipients' slots; slot 0 gathers the dead.
-- `order` holds four numbers a message (it, shape, place, sender), so that turns read memory in order.
-- Filled from the end, so that first[s] is where slot s begins and order within it is kept.
function P.sort_all(slots)
  local f, o, rt, w = first, order, rto, where
  for s = 0, slots + 1 do f[s] = 0 end
  for e = 1, rn do local s = w[rt[e]]; f[s] = f[s] + 1 end
  local total = 0
  for s = 0, slots do total = total + f[s]; f[s] = total end
  f[slots + 1] = total
  local rf, rs, rp = rfrom, rshape, rpos
  for e = rn, 1, -1 do
    local s = w[rt[e]]
    local k = f[s] - 1
    f[s] = k
    k = k * 4
    o[k] = e; o[k + 1] = rs[e]; o[k + 2] = rp[e]; o[k + 3] = rf[e]
  end
  return f[1]
end

-- The same for (message, slot) pairs in three parts: 1..split of the lists es, ss; then `count` pairs of
-- the array `here`, from 0; then the rest of the lists up to `last`.
function P.sort_parts(slots, es, ss, split, here, count, last)
  local f, o = first, order
  for s = 0, slots + 1 do f[s] = 0 end
  for k = 1, last do local s = ss[k]; f[s] = f[s] + 1 end
  for k = 1, count * 2 - 1, 2 do local s = here[k]; f[s] = f[s] + 1 end
  local total = 0
  for s = 0, slots do total = total + f[s]; f[s] = total end
  f[slots + 1] = total
  local rf, rs, rp = rfrom, rshape, rpos
  local function fill(from, to)
    for k = to, from, -1 do
      local s, e = ss[k], es[k]
      local at = f[s] - 1
      f[s] = at
      at = at * 4
      o[at] = e; o[at + 1] = rs[e]; o[at + 2] = rp[e]; o[at + 3] = rf[e]
    end
  end
  fill(split + 1, last)
  for k = count * 2 - 2, 0, -2 do
    local e, s = here[k], here[k + 1]
    local at = f[s] - 1
    f[s] = at
    at = at * 4
    o[at] = e; o[at + 1] = rs[e]; o[at + 2] = rp[e]; o[at + 3] = rf[e]
  end
  fill(1, split)
end

-- Puts message e at place k of the order, for a sort made elsewhere.
function P.place(k, e)
  local at = k * 4
  order[at] = e; order[at + 1] = rshape[e]; order[at + 2] = rpos[e]; order[at + 3] = rfrom[e]
end
]==]

-- One shape: K fields, kind, index; `hand` tells how a body reaches the handler. `next_tick`: the delay that the
-- quick way serves, "1", or "nil" where a message without delay does not wait for the next tick.
local function shape_code(index, kind, keys, body, handled_by, checked, next_tick)
  local count = #keys
  local function each(pattern, separator)
    local parts = {}
    for k = 1, count do parts[k] = (pattern:gsub("#", tostring(k))) end
    return concat(parts, separator or ", ")
  end
  local function constructor(column)
    if body then return column .. "1[p]" end
    local parts = {}
    for k = 1, count do parts[k] = format("[%q] = %s%d[p]", keys[k], column, k) end
    return "{" .. concat(parts, ", ") .. "}"
  end
  local out = {"do\n"}
  local function add(...) out[#out + 1] = format(...) end
  if count > 0 then
    add("local %s = %s\n", each("w#"), each("{}"))
    add("local %s = %s\n", each("r#"), each("{}"))
  end
  add("local wn, cn = 0, 0\n")
  if not body then
    local tables = {}
    for k = 1, count do tables[k] = format("[%q] = v%d", keys[k], k) end
    local body_text = "{" .. concat(tables, ", ") .. "}"
    local odd = ""
    if count > 0 then
      add("local type = type\n")
      odd = " or " .. each("t# == 'table' or t# == 'function' or t# == 'userdata'", " or ")
    end
    local params = count > 0 and ", " .. each("v#") or ""
    local types = count > 0 and format("local %s = %s\n", each("t#"), each("type(v#)")) or ""
    local store = "local p = wn + 1\nwn = p\nfrom_[e] = crumb[0]; shape_[e] = " .. index .. "; pos_[e] = p\n"
      .. (count > 0 and each("w#[p] = v#", "; ") .. "\n" or "") .. "n = e\n"
    add("P.S[%d] = function(to%s, delay)\n%s", index, params, types)
    add("if type(to) ~= 'number' or (delay ~= nil and delay ~= %s)%s then return send_slow(%d, to, %s, delay) end\n", next_tick, odd, kind.index, body_text)
    -- where the arrays are tables, they would keep a fraction
    local whole = D.vm == "luajit" and "" or " and to % 1 == 0"
    add("if not (to >= 1 and to <= last_id%s) then if to == 0 then return send_slow(%d, to, %s, delay) end bad_recipient(to) end\n",
      whole, kind.index, body_text)
    if checked then add("if not R.takers[%d][type_of[to]] then unhandled(to, %d) end\n", kind.index, kind.index) end
    add("if n >= stop then full() end\nlocal e = n + 1\nto_[e] = to\nif to_[e] ~= to then bad_recipient(to) end\n%send\n", store)
    add("P.B[%d] = function(name%s, delay)\n%s", index, params, types)
    add("if (delay ~= nil and delay ~= %s)%s then return broadcast_slow(%d, name, %s, delay) end\n", next_tick, odd, kind.index, body_text)
    add("local k = broadcast_type(name, %d)\nlocal count = audience(k)\nif count < 1 then return end\n", kind.index)
    add("if n >= stop then full() end\nlocal e = n + 1\nto_[e] = -k; extra = extra + count - 1; special = true\n%send\n", store)
    add("P.T[%d] = function(delay%s)\nif delay ~= nil and delay == %s then P.S[%d](crumb[0]%s) else send_slow(%d, crumb[0], %s, delay, true) end\nend\n",
      index, params, next_tick, index, params, kind.index, body_text)
  end
  add("P.swaps[%d] = function()\n%scn = wn; wn = 0\nend\n", index, count > 0 and each("w#, r# = r#, w#", "; ") .. "\n" or "")
  add("P.peek[%d] = function(p) return %s end\n", index, constructor("r"))
  add("P.peek_out[%d] = function(p) return %s end\n", index, constructor("w"))
  add("P.out_columns[%d] = function() return {%s}, wn end\n", index, each("w#"))
  add("P.take[%d] = function(count) local at = cn; cn = at + count; return at, {%s} end\n", index, each("r#"))
  if body then
    add("P.mailed[%d] = function(body) local p = wn + 1; wn = p; w1[p] = body; return p end\n", index)
    add("P.take_body = P.take_body or {}; P.take_body[%d] = function(body) local p = cn + 1; cn = p; r1[p] = body; return p end\n", index)
  end
  -- mail(kind, expression in msg) over what was sent: `each(f)` calls f for every message of the shape
  add("P.links[%d] = function(H, D)\n", index)
  for _, t in ipairs(handled_by) do
    local hand = body == "shared" and "copy(r1[p])" or constructor("r")
    add("do local h = H[%d][%q]; D[%d][%d] = function(self, p, from) h(self, %s, from) end end\n", t, kind.name, t, index, hand)
  end
  add("end\nend\n")
  return concat(out)
end

-- The turn loop of one type. `lo`..`hi` are slots; with `touched` they index that list of slots.
local function turns_code(index, has_step)
  local step = has_step and "if not gone then handling = 0; step(self) end\n" or ""
  local opening = [==[
local self, id = selves[i], ids[i]
crumb[0] = id
start = n; stop = n + LIMIT
if stop > cap then stop = cap end
Q.n = FUEL; arm(id); gone = false
]==]
  local handle = [==[
  local at = j * 4
  handling = order[at]
  D[order[at + 1]](self, order[at + 2], order[at + 3])
  if gone then undelivered = undelivered + (b - 1 - j) end
]==]
  -- The first message stands outside the loop: the JIT takes the first hot loop for a trace's root, and
  -- an inner one that runs once an agent was it on some starts (ring: 31 ns instead of 13).
  local reading = "if a < b then\nlocal j = a\n" .. handle .. "end\n"
    .. "if not gone then\nfor j = a + 1, b - 1 do\n" .. handle .. "if gone then break end\nend\nend\n"
  local closing = "if self.id ~= id or self.type ~= name then locked(self, id) end\n"
  local body = opening .. reading .. step .. closing
  local dense = has_step and body or "if a < b then\n" .. body .. "end\n"
  return format([[
P.turns[%d] = function(D, step, name)
  local undelivered = 0
  local function dense(lo, hi)
    for i = lo, hi do
      local a, b = first[i], first[i + 1]
      %s
    end
  end
  local function sparse(touched, from, to)
    for k = from, to do
      local i = touched[k]
      local a, b = first[k], first[k + 1]
      %s
    end
  end
  return dense, sparse, function() local u = undelivered; undelivered = 0; return u end
end
]], index, dense, body)
end

local M = {}

-- program: the front end's. takers[kind index][type index]: who handles what. sequential: whether a message without
-- delay is handled in its own tick.
-- Returns the source of the plan and the tables of boxed shapes by kind index.
function M.generate(program, takers, sequential)
  local next_tick = sequential and "nil" or "1"
  local parts = {HEAD}
  local kinds, shapes, types = program.kinds, program.shapes, program.types
  local function handled_by(kind)
    local list, all = {}, true
    for t = 1, #types do
      if takers[kind][t] then list[#list + 1] = t else all = false end
    end
    return list, not all
  end
  local index = 0
  for _, shape in ipairs(shapes) do
    index = index + 1
    local list, checked = handled_by(shape.kind)
    parts[#parts + 1] = shape_code(index, {index = shape.kind, name = kinds[shape.kind]}, shape.keys, nil, list, checked, next_tick)
  end
  local own, shared, kind_of_shape = {}, {}, {}
  for s = 1, #shapes do kind_of_shape[s] = shapes[s].kind end
  for _, mode in ipairs({"own", "shared"}) do
    for k = 1, #kinds do
      index = index + 1
      ;(mode == "own" and own or shared)[k] = index
      kind_of_shape[index] = k
      parts[#parts + 1] = shape_code(index, {index = k, name = kinds[k]}, {"body"}, mode, (handled_by(k)), false)
    end
  end
  for t = 1, #types do parts[#parts + 1] = turns_code(t, types[t].has_step) end
  parts[#parts + 1] = "return P\n"
  return concat(parts, "\n"), own, shared, kind_of_shape
end

return M
