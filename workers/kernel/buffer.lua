-- Flat arrays of numbers, and the growing byte buffer that the codec writes to: FFI memory on LuaJIT, plain
-- tables and strings elsewhere. Both give the same bytes.
--
-- Arrays are indexable 0..n and start with zeros, so the same loops run on both VMs, whether they count
-- from 0 or from 1. FFI arrays are not bounds-checked: whoever indexes one owns the proof.
--
-- `sort(list, n)` puts list[1..n], numbers without NaN, in ascending order.
--
-- `sink()` makes a writer of msgpack tokens (headers, strings, numbers) and raw blocks; codec.lua puts whole
-- values on top. msgpack is big-endian; raw blocks (`u32`, `i32s`, `f64s`) are little-endian, as memory is.

local deps = ...

local concat, sort = table.concat, table.sort
local assert, floor, setmetatable = assert, math.floor, setmetatable

local TWO32, TWO53 = 4294967296, 9007199254740992

local M = {}

-- Methods of a sink. Each VM defines: reset length result raw byte2 (internal) int float str bin
-- array map reference u32 i32s f64s.
local Sink = {}
Sink.__index = Sink
M.Sink = Sink

if deps.vm == "luajit" then
  local ffi, bit = deps.ffi, deps.bit
  local band, bnot, bswap, bxor, rshift, tobit = bit.band, bit.bnot, bit.bswap, bit.bxor, bit.rshift, bit.tobit
  local cast, copy, str = ffi.cast, ffi.copy, ffi.string

  assert(ffi.abi("le"), "the codec needs a little-endian machine")

  local i32_array, f64_array = ffi.typeof("int32_t[?]"), ffi.typeof("double[?]")
  local u8_array = ffi.typeof("uint8_t[?]")
  local i32_pointer, f64_pointer = ffi.typeof("int32_t *"), ffi.typeof("double *")
  -- A double and its two words; [1] holds sign and exponent.
  local view = ffi.new("union { double d; int32_t i[2]; }")

  function M.i32(n) return i32_array(n + 1) end

  function M.f64(n) return f64_array(n + 1) end

  -- A radix sort by bytes, lowest first, of the doubles' bit patterns, with the sign turned so that they order
  -- as unsigned integers. Passes in which all bytes are equal are left out, so small whole numbers need
  -- two or three of the eight. (A compiled merge sort took 135 ns a number at 100 000; table.sort 210.)
  function M.sort(list, n)
    if n < 48 then return sort(list) end
    local a, b = i32_array(2 * n), i32_array(2 * n)
    local counts = i32_array(2048)
    for i = 0, n - 1 do
      view.d = list[i + 1]
      local low, high = view.i[0], view.i[1]
      if high < 0 then
        low, high = bnot(low), bnot(high)
      else
        high = bxor(high, -2147483648)
      end
      a[2 * i], a[2 * i + 1] = low, high
      for k = 0, 3 do
        local at = k * 256 + band(rshift(low, k * 8), 255)
        counts[at] = counts[at] + 1
        at = at - band(rshift(low, k * 8), 255) + 1024 + band(rshift(high, k * 8), 255)
        counts[at] = counts[at] + 1
      end
    end
    for pass = 0, 7 do
      local base, word, shift = pass * 256, pass < 4 and 0 or 1, pass % 4 * 8
      if counts[base + band(rshift(a[word], shift), 255)] < n then
        local start = 0
        for k = base, base + 255 do
          local count = counts[k]
          counts[k] = start
          start = start + count
        end
        for i = 0, 2 * n - 2, 2 do
          local k = base + band(rshift(a[i + word], shift), 255)
          local at = counts[k] * 2
          counts[k] = counts[k] + 1
          b[at], b[at + 1] = a[i], a[i + 1]
        end
        a, b = b, a
      end
    end
    for i = 0, n - 1 do
      local low, high = a[2 * i], a[2 * i + 1]
      if high < 0 then
        high = bxor(high, -2147483648)
      else
        low, high = bnot(low), bnot(high)
      end
      view.i[0], view.i[1] = low, high
      list[i + 1] = view.d
    end
  end

  local FIRST, KEPT = 4096, 16777216

  function M.sink() return setmetatable({ p = u8_array(FIRST), n = 0, cap = FIRST }, Sink) end

  local function grow(w, need)
    local cap = w.cap
    repeat cap = cap * 2 until cap >= w.n + need
    local p = u8_array(cap)
    copy(p, w.p, w.n)
    w.p, w.cap = p, cap
  end

  -- Room for `need` bytes at the end; returns the buffer and the offset to write at.
  local function room(w, need)
    if w.n + need > w.cap then grow(w, need) end
    return w.p, w.n
  end

  -- Empties the sink. A very large buffer is given back, because it counts as the worker's Lua memory.
  function Sink.reset(w)
    w.n = 0
    if w.cap > KEPT then w.p, w.cap = u8_array(FIRST), FIRST end
  end

  function Sink.length(w) return w.n end

  function Sink.result(w) return str(w.p, w.n) end

  function Sink.raw(w, s)
    local p, n = room(w, #s)
    copy(p + n, s, #s)
    w.n = n + #s
  end

  local function put1(w, a)
    local p, n = room(w, 1)
    p[n] = a
    w.n = n + 1
  end

  local function put2(w, a, x)
    local p, n = room(w, 2)
    p[n] = a
    p[n + 1] = x
    w.n = n + 2
  end

  local function put3(w, a, x)
    local p, n = room(w, 3)
    p[n] = a
    p[n + 1] = rshift(x, 8)
    p[n + 2] = band(x, 255)
    w.n = n + 3
  end

  local function put5(w, a, x)
    local p, n = room(w, 5)
    p[n] = a
    cast(i32_pointer, p + n + 1)[0] = bswap(tobit(x))
    w.n = n + 5
  end

  local function put9(w, a, high, low)
    local p, n = room(w, 9)
    p[n] = a
    cast(i32_pointer, p + n + 1)[0] = bswap(tobit(high))
    cast(i32_pointer, p + n + 5)[0] = bswap(tobit(low))
    w.n = n + 9
  end

  local function put_short(w, s)
    local p, n = room(w, #s + 1)
    p[n] = #s + 0xa0
    copy(p + n + 1, s, #s)
    w.n = n + #s + 1
  end

  M.put1, M.put2, M.put3, M.put5, M.put9, M.put_short = put1, put2, put3, put5, put9, put_short

  function Sink.float(w, x)
    if x ~= x then return put9(w, 0xcb, 0x7ff80000, 0) end
    view.d = x
    return put9(w, 0xcb, view.i[1], view.i[0])
  end

  function Sink.u32(w, x)
    local p, n = room(w, 4)
    cast(i32_pointer, p + n)[0] = tobit(x)
    w.n = n + 4
  end

  function Sink.i32s(w, array, from, count)
    local p, n = room(w, count * 4)
    copy(p + n, array + from, count * 4)
    w.n = n + count * 4
  end

  -- From a table or an array of M.f64; NaNs are written as one NaN.
  function Sink.f64s(w, array, from, count)
    local p, n = room(w, count * 8)
    local out = cast(f64_pointer, p + n)
    for i = 0, count - 1 do
      local x = array[from + i]
      out[i] = x
      if x ~= x then -- LuaJIT's own NaN has the sign bit set
        local words = cast(i32_pointer, p + n + i * 8)
        words[0], words[1] = 0, 0x7ff80000
      end
    end
    w.n = n + count * 8
  end
else
  local abs, char, frexp = math.abs, string.char, math.frexp

  local function zeros(n)
    local array = {}
    for i = 0, n do array[i] = 0 end
    return array
  end

  M.i32, M.f64 = zeros, zeros

  function M.sort(list) sort(list) end

  -- parts[1..k] are the pieces written, n their length in bytes.
  function M.sink() return setmetatable({ parts = {}, k = 0, n = 0 }, Sink) end

  function Sink.reset(w) w.parts, w.k, w.n = {}, 0, 0 end

  function Sink.length(w) return w.n end

  function Sink.result(w)
    local s = concat(w.parts, "", 1, w.k)
    w.parts, w.k = { s }, 1
    return s
  end

  local function raw(w, s)
    local k = w.k + 1
    w.parts[k] = s
    w.k = k
    w.n = w.n + #s
  end
  Sink.raw = raw

  local function quad(x) -- big-endian
    x = x % TWO32
    return char(floor(x / 16777216), floor(x / 65536) % 256, floor(x / 256) % 256, x % 256)
  end

  local function quad_le(x)
    x = x % TWO32
    return char(x % 256, floor(x / 256) % 256, floor(x / 65536) % 256, floor(x / 16777216))
  end

  local function put1(w, a) raw(w, char(a)) end

  local function put2(w, a, x) raw(w, char(a, x)) end

  local function put3(w, a, x) raw(w, char(a, floor(x / 256), x % 256)) end

  local function put5(w, a, x) raw(w, char(a) .. quad(x)) end

  local function put9(w, a, high, low) raw(w, char(a) .. quad(high) .. quad(low)) end

  local function put_short(w, s) raw(w, char(#s + 0xa0) .. s) end

  M.put1, M.put2, M.put3, M.put5, M.put9, M.put_short = put1, put2, put3, put5, put9, put_short

  -- The two words of a double: sign, exponent and 20 bits; 32 bits.
  local function words(x)
    if x ~= x then return 0x7ff80000, 0 end
    local sign = (x < 0 or (x == 0 and 1 / x < 0)) and 0x80000000 or 0
    if x == 0 then return sign, 0 end
    x = abs(x)
    if x == math.huge then return sign + 0x7ff00000, 0 end
    local m, e = frexp(x)
    local exponent = e + 1022
    local fraction
    if exponent > 0 then
      fraction = (m * 2 - 1) * 4503599627370496
    else -- subnormal
      fraction, exponent = x * 2 ^ 537 * 2 ^ 537, 0
    end
    local high = floor(fraction / TWO32)
    return sign + exponent * 1048576 + high, fraction - high * TWO32
  end

  function Sink.float(w, x)
    local high, low = words(x)
    put9(w, 0xcb, high, low)
  end

  function Sink.u32(w, x) raw(w, quad_le(x)) end

  function Sink.i32s(w, array, from, count)
    for i = from, from + count - 1 do raw(w, quad_le(array[i])) end
  end

  function Sink.f64s(w, array, from, count)
    for i = from, from + count - 1 do
      local high, low = words(array[i])
      raw(w, quad_le(low) .. quad_le(high))
    end
  end
end

local put1, put2, put3, put5, put9 = M.put1, M.put2, M.put3, M.put5, M.put9
local put_float = Sink.float

-- An integer, |x| <= 2^53, in its shortest form.
local function put_int(w, x)
  if x >= 0 then
    if x < 128 then return put1(w, x) end
    if x < 256 then return put2(w, 0xcc, x) end
    if x < 65536 then return put3(w, 0xcd, x) end
    if x < TWO32 then return put5(w, 0xce, x) end
    local high = floor(x / TWO32)
    return put9(w, 0xcf, high, x - high * TWO32)
  end
  if x >= -32 then return put1(w, x + 256) end
  if x >= -128 then return put2(w, 0xd0, x + 256) end
  if x >= -32768 then return put3(w, 0xd1, x + 65536) end
  if x >= -2147483648 then return put5(w, 0xd2, x) end
  local high = floor(x / TWO32)
  return put9(w, 0xd3, high, x - high * TWO32)
end
Sink.int = put_int

-- Any number in its canonical form: an integer if it is one of at most 2^53, else eight bytes; -0 is not one.
function Sink.num(w, x)
  if floor(x) == x and x <= TWO53 and x >= -TWO53 and (x ~= 0 or 1 / x > 0) then
    return put_int(w, x)
  end
  return put_float(w, x)
end

local function header(w, n, short, short_limit, one, two, four)
  if n < short_limit then return put1(w, short + n) end
  if one and n < 256 then return put2(w, one, n) end
  if n < 65536 then return put3(w, two, n) end
  return put5(w, four, n)
end

function Sink.array(w, n) return header(w, n, 0x90, 16, nil, 0xdc, 0xdd) end

function Sink.map(w, n) return header(w, n, 0x80, 16, nil, 0xde, 0xdf) end

local put_raw, put_short = Sink.raw, M.put_short

function Sink.str(w, s)
  if #s < 32 then return put_short(w, s) end
  header(w, #s, 0xa0, 32, 0xd9, 0xda, 0xdb)
  put_raw(w, s)
end

function Sink.bin(w, s)
  header(w, #s, 0, 0, 0xc4, 0xc5, 0xc6)
  put_raw(w, s)
end

-- The table that was visited `number`th in this state: ext type 1, four bytes big-endian.
function Sink.reference(w, number)
  put1(w, 0xd6)
  put5(w, 0x01, number)
end

function Sink.null(w) return put1(w, 0xc0) end

function Sink.bool(w, v) return put1(w, v and 0xc3 or 0xc2) end

return M
