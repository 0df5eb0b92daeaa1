-- Canonical msgpack: one value has one sequence of bytes, on both VMs, in every process (design 4.9).
--
-- Keys: booleans (false, true), then numbers ascending, then strings by bytes. A whole number of at most 2^53 is
-- an integer in its shortest form; -0 and all others are eight bytes; there is one NaN. A table with exactly the
-- keys 1..n (n >= 1) is an array, every other one, the empty one too, a map.
--
-- *Trees* (message bodies, results) are written by `w:value`: a table met twice is written twice. *States* are
-- written by `w:state`: tables are numbered from 1 (the state itself) as they are first met, and a table met again
-- is msgpack ext type 1 with its number, so sharing and cycles inside one agent survive.
--
-- What cannot be written raises a table {path, reason, limit}; `explain` makes a sentence of it. The writers do not
-- keep track of paths: on a failure the value is walked once more, in canonical order, so that the report is
-- the same whatever order the VM's `next` has. Malformed input to a reader raises a string.

local deps = ...
local buffer = deps.buffer

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local concat, sort = table.concat, table.sort
local error, getmetatable, next, tostring, type = error, getmetatable, next, tostring, type
local floor, huge = math.floor, math.huge

local MAX_DEPTH = 100 -- tables inside each other
local MAX_VALUES = 1000000 -- in one tree: a table of tables shared twice doubles at each level
local BODY_DEPTH, BODY_VALUES, BODY_BYTES = 32, 10000, 262144
local TWO32 = 4294967296
local NAN = 0 / 0

local M = { MAX_DEPTH = MAX_DEPTH, BODY_DEPTH = BODY_DEPTH, BODY_VALUES = BODY_VALUES, BODY_BYTES = BODY_BYTES }

-- Keys ---------------------------------------------------------------------------------------------------

-- Sorts list[1..n], all numbers or all strings. Insertion while short: table.sort is not compiled by the JIT.
local function sort_keys(list, n)
  if n > 24 then
    for i = #list, n + 1, -1 do list[i] = nil end
    return sort(list)
  end
  for i = 2, n do
    local key, j = list[i], i - 1
    while j > 0 and key < list[j] do
      list[j + 1] = list[j]
      j = j - 1
    end
    list[j + 1] = key
  end
end

-- The keys of t in canonical order, less those in `skip`, and their number; nil, reason if one cannot be written.
local function sorted_keys(t, skip)
  local keys, n = {}, 0
  local numbers, strings = {}, {}
  local number_count, string_count = 0, 0
  local refused
  for key in next, t do
    local kind = type(key)
    if skip and skip[key] then
      -- not written
    elseif kind == "string" then
      string_count = string_count + 1
      strings[string_count] = key
    elseif kind == "number" then
      number_count = number_count + 1
      numbers[number_count] = key == 0 and 0 or key -- -0 is the same key, kept or not by the table's history
    elseif kind ~= "boolean" and (refused == nil or kind < refused) then
      refused = kind
    end
  end
  if refused then return nil, "a table with a " .. refused .. " as key" end
  for _, key in next, { false, true } do
    if t[key] ~= nil and not (skip and skip[key]) then
      n = n + 1
      keys[n] = key
    end
  end
  sort_keys(numbers, number_count)
  sort_keys(strings, string_count)
  for i = 1, number_count do keys[n + i] = numbers[i] end
  n = n + number_count
  for i = 1, string_count do keys[n + i] = strings[i] end
  return keys, n + string_count
end
M.sorted_keys = sorted_keys

-- Failures -------------------------------------------------------------------------------------------------

local function path_of(root, keys, count)
  local parts = { root }
  for i = 1, count do
    local key = keys[i]
    if count > 12 and i == 7 then
      parts[#parts + 1] = "…"
    elseif count > 12 and i > 7 and i < count - 2 then
      -- left out
    elseif type(key) == "number" then
      parts[#parts + 1] = "[" .. format("%.14g", key) .. "]"
    elseif type(key) == "boolean" then
      parts[#parts + 1] = "[" .. tostring(key) .. "]"
    elseif find(key, "^[%a_][%w_]*$") and #key <= 60 then
      parts[#parts + 1] = "." .. key
    else
      local text = gsub(sub(key, 1, 60), "[%c\"\\\128-\255]", "?")
      parts[#parts + 1] = '["' .. text .. (#key > 60 and "…" or "") .. '"]'
    end
  end
  return concat(parts)
end

-- Walks `root` in canonical order and raises the first reason why it cannot be written or copied.
-- rules: {name, depth, values, bytes, identity, skip}; values and bytes are limits on the whole.
local function fail(root, rules)
  local keys, values, bytes, seen = {}, 0, 0, {}

  local function stop(depth, reason, limit)
    local path = path_of(rules.name, keys, limit == "whole" and 0 or depth)
    error({ path = path, reason = reason, limit = limit ~= nil }, 0)
  end

  local function visit(v, depth)
    local kind = type(v)
    if kind == "string" then
      bytes = bytes + #v
    elseif kind == "table" then
      if rules.identity and seen[v] then return end
      seen[v] = true
      local meta = getmetatable(v)
      if not rules.identity and type(meta) == "table" and meta.__of ~= nil then v, meta = meta.__of, nil end
      if meta ~= nil then
        stop(depth, type(meta) == "table" and (meta.__count and "a read-only list of agents"
          or meta.__of and "a read-only view: copy the values you need into a table of your own")
          or "a table with a metatable")
      end
      if depth >= rules.depth then
        stop(depth, "nested deeper than " .. rules.depth .. " tables (does it contain itself?)", "depth")
      end
      local list, n = sorted_keys(v, depth == 0 and rules.skip or nil)
      if not list then stop(depth, n) end
      for i = 1, n do
        keys[depth + 1] = list[i]
        values = values + 1
        if type(list[i]) == "string" then bytes = bytes + #list[i] end
        visit(v[list[i]], depth + 1)
      end
    elseif kind ~= "nil" and kind ~= "boolean" and kind ~= "number" then
      stop(depth, "a " .. kind)
    end
    if values > rules.values then stop(0, "larger than " .. rules.values .. " values", "whole") end
    if bytes > rules.bytes then stop(0, "larger than " .. rules.bytes .. " bytes of text", "whole") end
  end

  visit(root, 0)
  error("internal: the codec refused a value and then found no reason", 0)
end

-- explain(err) -> a sentence for what value, state or copy raised; nil for any other error.
function M.explain(err)
  if type(err) ~= "table" or err.path == nil or err.reason == nil then return nil end
  local text = err.path .. " is " .. err.reason
  if err.limit then return text end
  if byte(err.path) == 115 and find(err.path, "^self") then
    return text .. " (agents may keep nil, booleans, numbers, strings and tables of these)"
  end
  if find(err.path, "^env") then
    return text .. " (the environment may keep nil, booleans, numbers, strings and tables of these)"
  end
  return text .. " (only nil, booleans, numbers, strings and tables of these can be sent)"
end

-- Writing --------------------------------------------------------------------------------------------------

local Sink = buffer.Sink
local put_num, put_str, put_null, put_bool = Sink.num, Sink.str, Sink.null, Sink.bool
local put_i32s = Sink.i32s
local put_array, put_map, put_reference, put_raw, put_u32, put_f64s =
  Sink.array, Sink.map, Sink.reference, Sink.raw, Sink.u32, Sink.f64s

-- A writer: a sink (buffer.lua) with `value`, `state`. After a failure its contents are worth nothing; reset it.
function M.writer()
  local w = buffer.sink()
  -- seen[t] > base: t was met in the state being written, as number seen[t] - base. Raising `base` forgets all.
  w.seen, w.base, w.count, w.tracking = {}, 0, 0, false
  w.values = 0
  w.root, w.rules = nil, nil
  return w
end

-- Keys of the last table written at each depth: as `next` gave them, and sorted. Tables of one kind mostly come
-- one after the other and give their keys in one order, so most need no sorting and no new lists.
local found, ordered, found_count = {}, {}, {}
for depth = 0, MAX_DEPTH do
  found[depth], ordered[depth], found_count[depth] = {}, {}, 0
end

local put_table

local function put_value(w, v, depth)
  local kind = type(v)
  if kind == "number" then return put_num(w, v) end
  if kind == "string" then return put_str(w, v) end
  if kind == "table" then return put_table(w, v, depth) end
  if kind == "boolean" then return put_bool(w, v) end
  if v == nil then return put_null(w) end
  return fail(w.root, w.rules)
end

-- Keys of every kind.
local function put_mixed(w, t, depth, skip)
  local keys, n = sorted_keys(t, skip)
  if not keys then return fail(w.root, w.rules) end
  put_map(w, n)
  for i = 1, n do
    put_value(w, keys[i], depth)
    put_value(w, t[keys[i]], depth + 1)
  end
end

-- depth: tables around this one.
function put_table(w, t, depth, skip)
  if w.tracking and depth > 0 then
    if t == w.root then return put_reference(w, 1) end
    local number = w.seen[t]
    if number and number > w.base then return put_reference(w, number - w.base) end
    w.count = w.count + 1
    w.seen[t] = w.base + w.count
  end
  if depth >= MAX_DEPTH or getmetatable(t) ~= nil or w.values > MAX_VALUES then
    return fail(w.root, w.rules)
  end
  local length = #t
  if length > 0 and t[1] ~= nil then
    local exact = 0
    for key in next, t do
      if type(key) == "number" and key >= 1 and key <= length and floor(key) == key then
        exact = exact + 1
      elseif not (skip and skip[key]) then
        exact = -huge
        break
      end
    end
    if exact == length then
      put_array(w, length)
      for i = 1, length do put_value(w, t[i], depth + 1) end
      w.values = w.values + length
      return
    end
  end
  local last, n, same = found[depth], 0, true
  for key in next, t do
    if type(key) ~= "string" then
      found_count[depth] = 0
      return put_mixed(w, t, depth, skip)
    end
    if not (skip and skip[key]) then
      n = n + 1
      if last[n] ~= key then
        last[n] = key
        same = false
      end
    end
  end
  local keys = ordered[depth]
  if not same or n ~= found_count[depth] then
    if n > 24 then
      found[depth], found_count[depth] = {}, 0
      return put_mixed(w, t, depth, skip)
    end
    for i = 1, n do keys[i] = last[i] end
    sort_keys(keys, n)
    found_count[depth] = n
  end
  put_map(w, n)
  for i = 1, n do
    local key = keys[i]
    put_str(w, key)
    put_value(w, t[key], depth + 1)
  end
  w.values = w.values + n
end

local function rules_for(name, identity, skip)
  return {
    name = name, depth = MAX_DEPTH, values = identity and huge or MAX_VALUES, bytes = huge,
    identity = identity, skip = skip,
  }
end

-- The last rules of each method are kept, because callers ask for the same ones again and again.
local value_rules, state_rules = rules_for("value", false), rules_for("self", true)

-- Writes a tree. `name` is what a failure calls it ("value" when absent).
function Sink.value(w, v, name)
  local kind = type(v)
  if kind == "number" then return put_num(w, v) end
  if kind == "string" then return put_str(w, v) end
  w.tracking, w.values = false, 0
  name = name or "value"
  if name ~= value_rules.name then value_rules = rules_for(name, false) end
  w.root, w.rules = v, value_rules
  put_value(w, v, 0)
  w.root = nil
end

-- Writes an agent's state, less the top-level keys of the set `skip`.
function Sink.state(w, t, skip)
  if w.base > 65536 then w.seen, w.base = {}, 0 end -- lets go of the tables it holds
  w.base, w.count, w.tracking, w.values = w.base + w.count, 1, true, -huge
  if skip ~= state_rules.skip then state_rules = rules_for("self", true, skip) end
  w.root, w.rules = t, state_rules
  put_table(w, t, 0, skip)
  w.root, w.tracking = nil, false
end

local reset = Sink.reset

function Sink.reset(w)
  reset(w)
  w.seen, w.base, w.count, w.tracking, w.root = {}, 0, 0, false, nil
end

-- Reading --------------------------------------------------------------------------------------------------

local malformed, read_u16, read_u32, read_text, read_f64 =
  buffer.malformed, buffer.read_u16_be, buffer.read_u32_be, buffer.read_text, buffer.read_f64
local read_f64s, read_i32s, read_u32_le = buffer.read_f64s, buffer.read_i32s, buffer.read_u32

M.read_u32, M.read_i32s, M.read_f64s = buffer.read_u32, buffer.read_i32s, buffer.read_f64s

local read

local function read_array(s, pos, n, depth, tables)
  if depth >= MAX_DEPTH then malformed(pos, "nested deeper than " .. MAX_DEPTH) end
  if n > #s - pos + 1 then malformed(pos, "an array of " .. n .. " does not fit") end
  local t = {}
  if tables then tables[#tables + 1] = t end
  for i = 1, n do
    t[i], pos = read(s, pos, depth + 1, tables)
  end
  return t, pos
end

local function read_map(s, pos, n, depth, tables)
  if depth >= MAX_DEPTH then malformed(pos, "nested deeper than " .. MAX_DEPTH) end
  if n * 2 > #s - pos + 1 then malformed(pos, "a map of " .. n .. " does not fit") end
  local t = {}
  if tables then tables[#tables + 1] = t end
  for _ = 1, n do
    local key, at = nil, pos
    key, pos = read(s, pos, depth + 1, tables)
    if key == nil or key ~= key or type(key) == "table" then malformed(at, "a key that no table can have") end
    if t[key] ~= nil then malformed(at, "a key that was there before") end
    t[key], pos = read(s, pos, depth + 1, tables)
  end
  return t, pos
end

-- 64-bit integers; those that a double cannot hold are refused.
local function read_64(s, pos, signed)
  local high, low = read_u32(s, pos), read_u32(s, pos + 4)
  if signed and high >= 2147483648 then high = high - TWO32 end
  if high > 2097152 or high < -2097152 or (high == 2097152 and low > 0) then
    malformed(pos, "an integer beyond 2^53")
  end
  return high * TWO32 + low, pos + 8
end

local function read_reference(s, pos, tables)
  if tables == nil then malformed(pos, "a reference outside an agent's state") end
  local number = read_u32(s, pos)
  local t = tables[number]
  if t == nil then malformed(pos, "a reference to table " .. number .. " of " .. #tables) end
  return t, pos + 4
end

local function read_other(s, pos, b, depth, tables)
  local at = pos + 1
  if b == 0xcc or b == 0xd0 then
    local x = byte(s, at)
    if x == nil then malformed(at, "it ends inside a number") end
    return b == 0xd0 and x >= 128 and x - 256 or x, at + 1
  elseif b == 0xcd then
    return read_u16(s, at), at + 2
  elseif b == 0xce then
    return read_u32(s, at), at + 4
  elseif b == 0xcf then
    return read_64(s, at, false)
  elseif b == 0xd1 then
    local x = read_u16(s, at)
    return x >= 32768 and x - 65536 or x, at + 2
  elseif b == 0xd2 then
    local x = read_u32(s, at)
    return x >= 2147483648 and x - TWO32 or x, at + 4
  elseif b == 0xd3 then
    return read_64(s, at, true)
  elseif b == 0xd9 or b == 0xc4 then
    local n = byte(s, at)
    if n == nil then malformed(at, "it ends inside a string") end
    return read_text(s, at + 1, n)
  elseif b == 0xda or b == 0xc5 then
    return read_text(s, at + 2, read_u16(s, at))
  elseif b == 0xdb or b == 0xc6 then
    return read_text(s, at + 4, read_u32(s, at))
  elseif b == 0xdc then
    return read_array(s, at + 2, read_u16(s, at), depth, tables)
  elseif b == 0xdd then
    return read_array(s, at + 4, read_u32(s, at), depth, tables)
  elseif b == 0xde then
    return read_map(s, at + 2, read_u16(s, at), depth, tables)
  elseif b == 0xdf then
    return read_map(s, at + 4, read_u32(s, at), depth, tables)
  elseif b == 0xca then
    local word = read_u32(s, at)
    local exponent = floor(word / 8388608) % 256
    local fraction = word % 8388608
    local x
    if exponent == 255 then
      x = fraction == 0 and huge or NAN
    elseif exponent == 0 then
      x = fraction * 2 ^ -149
    else
      x = (fraction + 8388608) * 2 ^ (exponent - 150)
    end
    return word >= 2147483648 and -x or x, at + 4
  elseif b == 0xd6 and byte(s, at) == 1 then
    return read_reference(s, at + 1, tables)
  end
  return malformed(pos, format("byte %02x is not allowed here", b))
end

function read(s, pos, depth, tables)
  local b = byte(s, pos)
  if b == nil then malformed(pos, "it ends too early") end
  if b < 0x80 then return b, pos + 1 end
  if b >= 0xe0 then return b - 256, pos + 1 end
  if b >= 0xa0 and b < 0xc0 then return read_text(s, pos + 1, b - 0xa0) end
  if b < 0x90 then return read_map(s, pos + 1, b - 0x80, depth, tables) end
  if b < 0xa0 then return read_array(s, pos + 1, b - 0x90, depth, tables) end
  if b == 0xcb then return read_f64(s, pos + 1) end
  if b == 0xc0 then return nil, pos + 1 end
  if b == 0xc2 then return false, pos + 1 end
  if b == 0xc3 then return true, pos + 1 end
  return read_other(s, pos, b, depth, tables)
end

-- decode(s, pos) -> value, position after it. Any well-formed msgpack without ext types, not only the canonical.
function M.decode(s, pos) return read(s, pos or 1, 0, nil) end

-- The same for what `w:state` wrote.
function M.decode_state(s, pos) return read(s, pos or 1, 0, {}) end

-- Columns --------------------------------------------------------------------------------------------------
-- A block: tag, count (u32), and by tag: 'c' one double that all are; 'i' int32s; 'd' doubles; 'm' canonical
-- values one after another. The first that fits: what crosses to another worker is mostly counts and ids.

local TAG_C, TAG_I, TAG_D, TAG_M = 99, 105, 100, 109
local MAX_ALIKE = 134217728 -- a count that no bytes stand for

local is_i32
if deps.vm == "luajit" then
  local tobit = deps.bit.tobit
  function is_i32(x) return tobit(x) == x and (x ~= 0 or 1 / x > 0) end
else
  function is_i32(x) return x % 1 == 0 and x >= -2147483648 and x < 2147483648 and (x ~= 0 or 1 / x > 0) end
end

local whole_numbers, whole_room = buffer.i32(0), 0

-- t[from .. from + n - 1], nils allowed.
function M.column(w, t, from, n)
  local first = t[from]
  local alike, whole = n > 0, true
  for i = from, from + n - 1 do
    local x = t[i]
    if type(x) ~= "number" then
      put_raw(w, "m")
      put_u32(w, n)
      for k = from, from + n - 1 do w:value(t[k], "body") end
      return
    end
    if x ~= first then alike = false end
    if whole and not is_i32(x) then whole = false end
  end
  if alike and (whole or first ~= 0) then
    put_raw(w, "c")
    put_u32(w, n)
    put_f64s(w, t, from, 1)
  elseif whole then
    if n > whole_room then whole_numbers, whole_room = buffer.i32(n * 2), n * 2 end
    for i = 0, n - 1 do whole_numbers[i] = t[from + i] end
    put_raw(w, "i")
    put_u32(w, n)
    put_i32s(w, whole_numbers, 0, n)
  else
    put_raw(w, "d")
    put_u32(w, n)
    put_f64s(w, t, from, n)
  end
end

local gathered = {}

-- t[idx[1]] .. t[idx[n]]; idx is an array of buffer.i32.
function M.gather(w, t, idx, n)
  local list = gathered
  for i = 1, n do list[i] = t[idx[i]] end
  M.column(w, list, 1, n)
  if n > 65536 then
    gathered = {}
  else
    for i = 1, n do list[i] = nil end
  end
end

-- Fills t[at ..] -> position after the block, number of values.
function M.read_column(s, pos, t, at)
  local tag = byte(s, pos)
  local n
  n, pos = read_u32_le(s, pos + 1)
  if tag == TAG_D then return read_f64s(s, pos, t, at, n), n end
  if tag == TAG_I then
    if n * 4 > #s - pos + 1 then malformed(pos, "a column of " .. n .. " does not fit") end
    if n > whole_room then whole_numbers, whole_room = buffer.i32(n * 2), n * 2 end
    pos = read_i32s(s, pos, whole_numbers, 0, n)
    for i = 0, n - 1 do t[at + i] = whole_numbers[i] end
    return pos, n
  end
  if tag == TAG_C then
    if n > MAX_ALIKE then malformed(pos, "a column of " .. n .. " is too long") end
    pos = read_f64s(s, pos, t, at, 1)
    local x = t[at]
    for i = at + 1, at + n - 1 do t[i] = x end
    return pos, n
  end
  if tag ~= TAG_M then malformed(pos, "not a column") end
  if n > #s - pos + 1 then malformed(pos, "a column of " .. n .. " does not fit") end
  for i = at, at + n - 1 do
    t[i], pos = read(s, pos, 0, nil)
  end
  return pos, n
end

-- Copying --------------------------------------------------------------------------------------------------

local copied_values, copied_bytes = 0, 0

local copy_table

-- Room for the fields that the engine adds to what spawn was given; the VM that cannot ask for it grows the table.
local new_agent = function() return {} end
if deps.vm == "luajit" then
  local new = require("table.new")
  new_agent = function() return new(0, 7) end
end

-- A value of a table, copied; nil when it cannot be.
local function copy_field(key, v, depth)
  local kind = type(key)
  if kind == "string" then
    copied_bytes = copied_bytes + #key
  elseif kind ~= "number" and kind ~= "boolean" then
    return nil
  end
  kind = type(v)
  if kind == "table" then
    v = copy_table(v, depth + 1)
    if v == nil then return nil end
  elseif kind == "string" then
    copied_bytes = copied_bytes + #v
  elseif kind ~= "number" and kind ~= "boolean" then
    return nil
  end
  copied_values = copied_values + 1
  if copied_values > BODY_VALUES then return nil end
  return v
end

-- nil when the table cannot be copied. Of a read-only view what it shows is copied. The first two fields stand
-- outside the loop: most tables have no more, and the JIT does not take an inner loop into its caller's trace.
function copy_table(t, depth, out)
  if depth >= BODY_DEPTH then return nil end
  local meta = getmetatable(t)
  if meta ~= nil then
    if type(meta) ~= "table" or meta.__of == nil then return nil end
    t = meta.__of
  end
  out = out or {}
  local key, v = next(t)
  if key == nil then return out end
  local copied = copy_field(key, v, depth)
  if copied == nil then return nil end
  out[key] = copied
  key, v = next(t, key)
  if key == nil then return out end
  copied = copy_field(key, v, depth)
  if copied == nil then return nil end
  out[key] = copied
  for each, value in next, t, key do
    copied = copy_field(each, value, depth)
    if copied == nil then return nil end
    out[each] = copied
  end
  return out
end

-- copy(v, name): a copy of a message body. A table that is met twice is copied twice. What may not be sent, or is
-- too large or too deep, raises like a writer; `name` is what the report calls it ("body" when absent).
function M.copy(v, name, out)
  local kind = type(v)
  copied_values, copied_bytes = 0, 0
  if kind == "table" then
    out = copy_table(v, 0, out)
  else
    out = v
    if kind == "string" then
      copied_bytes = #v
    elseif kind ~= "number" and kind ~= "boolean" and v ~= nil then
      out = nil
    end
  end
  if (out == nil and v ~= nil) or copied_bytes > BODY_BYTES then
    return fail(v, { name = name or "body", depth = BODY_DEPTH, values = BODY_VALUES, bytes = BODY_BYTES })
  end
  return out
end

-- The fields given to spawn, in a table that becomes the agent.
function M.copy_fields(fields) return M.copy(fields, "fields", new_agent()) end

-- Headers, for readers that walk a value piece by piece.

-- The length of the array that begins at pos -> length, position of its first element.
function M.array_header(s, pos)
  local b = byte(s, pos)
  if b and b >= 0x90 and b <= 0x9f then return b - 0x90, pos + 1 end
  local high, low = byte(s, pos + 1, pos + 2)
  if b == 0xdc and low then return high * 256 + low, pos + 3 end
  if b == 0xdd then
    local third, fourth = byte(s, pos + 3, pos + 4)
    if fourth then return ((high * 256 + low) * 256 + third) * 256 + fourth, pos + 5 end
  end
  malformed(pos, "not an array")
end

function M.is_nil(s, pos) return byte(s, pos) == 0xc0 end

return M
