-- Flat arrays of numbers, and bytes: the growing buffer that the codec writes to, and the numbers it reads from
-- strings. FFI memory on LuaJIT, plain tables and strings elsewhere; both give the same bytes.
--
-- Arrays are indexable 0..n and start with zeros, so the same loops run on both VMs, whether they count
-- from 0 or from 1. FFI arrays are not bounds-checked: whoever indexes one owns the proof.
--
-- Reading is by functions of (string, position); what does not fit raises a string with the place.
--
-- `sink()` makes a writer of msgpack tokens (headers, strings, numbers) and raw blocks; codec.lua puts whole
-- values on top. msgpack is big-endian; raw blocks (`u32`, `i32s`, `f64s`) are little-endian, as memory is.

local deps = ...

local byte, concat, sub = string.byte, table.concat, string.sub
local assert, error, floor, huge, setmetatable = assert, error, math.floor, math.huge, setmetatable

local TWO32, TWO53 = 4294967296, 9007199254740992
local NAN = 0 / 0

local M = {}

-- Methods of a sink: reset length result; int float num str bin null bool array map reference; raw u32 i32s f64s.
local Sink = {}
Sink.__index = Sink
M.Sink = Sink

if deps.vm == "luajit" then
  local ffi, bit = deps.ffi, deps.bit
  local band, bswap, rshift, tobit = bit.band, bit.bswap, bit.rshift, bit.tobit
  local cast, copy, str = ffi.cast, ffi.copy, ffi.string

  assert(ffi.abi("le"), "the codec needs a little-endian machine")

  local i32_array, f64_array = ffi.typeof("int32_t[?]"), ffi.typeof("double[?]")
  local u8_array = ffi.typeof("uint8_t[?]")
  local i32_pointer, f64_pointer = ffi.typeof("int32_t *"), ffi.typeof("double *")
  -- A double and its two words; [1] holds sign and exponent.
  local view = ffi.new("union { double d; int32_t i[2]; }")

  function M.i32(n) return i32_array(n + 1) end

  function M.f64(n) return f64_array(n + 1) end

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
    if x == huge then return sign + 0x7ff00000, 0 end
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

-- Reading ----------------------------------------------------------------------------------------------------

local function malformed(pos, what) error("malformed data at byte " .. pos .. ": " .. what, 0) end
M.malformed = malformed

-- Doubles from bytes, most significant first.
local to_double

if deps.vm == "luajit" then
  local bor, shl = deps.bit.bor, deps.bit.lshift
  local view = deps.ffi.new("union { double d; int32_t i[2]; }")

  function to_double(a, b, c, d, e, f, g, h)
    view.i[1] = bor(shl(a, 24), shl(b, 16), shl(c, 8), d)
    view.i[0] = bor(shl(e, 24), shl(f, 16), shl(g, 8), h)
    local x = view.d
    if x ~= x then return NAN end -- a NaN with a payload could pass for a tagged value inside the VM
    return x
  end
else
  local ldexp = math.ldexp

  function to_double(a, b, c, d, e, f, g, h)
    local exponent = a % 128 * 16 + floor(b / 16)
    local fraction = ((((((b % 16) * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 256 + g) * 256 + h
    local x
    if exponent == 2047 then
      if fraction ~= 0 then return NAN end
      x = huge
    elseif exponent == 0 then
      x = ldexp(fraction, -1074)
    else
      x = ldexp(fraction + 4503599627370496, exponent - 1075)
    end
    return a >= 128 and -x or x
  end
end

-- Tokens, big-endian: the number at pos; read_text and read_f64 also give the position after it.

function M.read_u16_be(s, pos)
  local a, b = byte(s, pos, pos + 1)
  if b == nil then malformed(pos, "it ends inside a number") end
  return a * 256 + b
end

function M.read_u32_be(s, pos)
  local a, b, c, d = byte(s, pos, pos + 3)
  if d == nil then malformed(pos, "it ends inside a number") end
  return ((a * 256 + b) * 256 + c) * 256 + d
end

function M.read_text(s, pos, n)
  local last = pos + n - 1
  if last > #s then malformed(pos, "it ends inside a string") end
  return sub(s, pos, last), last + 1
end

function M.read_f64(s, pos)
  local a, b, c, d, e, f, g, h = byte(s, pos, pos + 7)
  if h == nil then malformed(pos, "it ends inside a number") end
  return to_double(a, b, c, d, e, f, g, h), pos + 8
end

-- Raw blocks, little-endian: read_u32(s, pos) -> number, next; read_i32s and read_f64s fill array[at ..] and return
-- next.
local function need(s, pos, bytes)
  if pos < 1 or bytes < 0 or bytes > #s - pos + 1 then
    malformed(pos, "a block of " .. bytes .. " bytes does not fit")
  end
end

local function read_u32(s, pos)
  local a, b, c, d = byte(s, pos, pos + 3)
  if d == nil then malformed(pos, "it ends inside a number") end
  return ((d * 256 + c) * 256 + b) * 256 + a, pos + 4
end
M.read_u32 = read_u32

if deps.vm == "luajit" then
  local cast, copy = deps.ffi.cast, deps.ffi.copy
  local bytes_pointer, f64_pointer = deps.ffi.typeof("const uint8_t *"), deps.ffi.typeof("const double *")

  function M.read_i32s(s, pos, array, at, count)
    need(s, pos, count * 4)
    copy(array + at, cast(bytes_pointer, s) + (pos - 1), count * 4)
    return pos + count * 4
  end

  function M.read_f64s(s, pos, array, at, count)
    need(s, pos, count * 8)
    local from = cast(f64_pointer, cast(bytes_pointer, s) + (pos - 1))
    for i = 0, count - 1 do
      local x = from[i]
      array[at + i] = x == x and x or NAN
    end
    return pos + count * 8
  end
else
  function M.read_i32s(s, pos, array, at, count)
    need(s, pos, count * 4)
    for i = 0, count - 1 do
      local x = read_u32(s, pos + i * 4)
      array[at + i] = x >= 2147483648 and x - TWO32 or x
    end
    return pos + count * 4
  end

  function M.read_f64s(s, pos, array, at, count)
    need(s, pos, count * 8)
    for i = 0, count - 1 do
      local h, g, f, e, d, c, b, a = byte(s, pos + i * 8, pos + i * 8 + 7)
      array[at + i] = to_double(a, b, c, d, e, f, g, h)
    end
    return pos + count * 8
  end
end

return M
