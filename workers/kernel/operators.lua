-- What the front end puts in place of operators: `^`, `//`, `..`, the bit operators. (`#` is
-- values.length.) Numbers are doubles; bit operators work on 64-bit two's complement as in Lua 5.4,
-- for whole numbers of at most 2^53 in size, and refuse a result that a double cannot hold.

local deps = ...
local meter, values = deps.meter, deps.values
local fail, Q, out_of_fuel = meter.fail, meter.Q, meter.X
local text, spelled, reserve, MAX_STRING = values.text, values.spelled, values.reserve, values.MAX_STRING
local prints_plainly = values.prints_plainly
local type, select, getmetatable, floor, concat = type, select, getmetatable, math.floor, table.concat

local TWO21, TWO32, TWO53, TWO63 = 2097152, 4294967296, 9007199254740992, 9223372036854775808


-- Arithmetic -------------------------------------------------------------------------------------

local function metamethod(v, name)
  if type(v) ~= "table" then return nil end
  local meta = getmetatable(v)
  if type(meta) ~= "table" then return nil end
  return meta[name]
end


local function operand(v, operator)
  if type(v) == "number" then return v end
  local x = type(v) == "string" and spelled(v) or nil
  if x == nil then
    fail("attempt to perform arithmetic on a " .. type(v) .. " value (operator '" .. operator .. "')")
  end
  return x
end


-- LuaJIT's compiled and interpreted x^2 differ in the last bit; a product never does.
local function power(a, b)
  if type(a) == "number" and type(b) == "number" then
    if b == 2 then return a * a end
    return a ^ b
  end
  local f = metamethod(a, "__pow") or metamethod(b, "__pow")
  if f ~= nil then
    local made = f(a, b)
    return made
  end
  a, b = operand(a, "^"), operand(b, "^")
  if b == 2 then return a * a end
  return a ^ b
end


-- Exact for whole numbers below 2^53: their quotient is never so near a whole number that rounding
-- it to a double reaches it.
local function floor_division(a, b)
  if type(a) == "number" and type(b) == "number" then return floor(a / b) end
  return floor(operand(a, "//") / operand(b, "//"))
end


-- Concatenation ----------------------------------------------------------------------------------

local function piece(v)
  local kind = type(v)
  if kind == "string" then return v end
  if kind == "number" then return (text(v)) end
  fail("attempt to concatenate a " .. kind .. " value")
end


local function joined(a, b)
  local f = metamethod(a, "__concat") or metamethod(b, "__concat")
  if f ~= nil then
    local made = f(a, b)
    return made
  end
  local s = piece(a) .. piece(b)
  reserve(#s, "..")
  return s
end


-- From the right, as the operator associates; tables with `__concat` may stand anywhere.
local function concatenate_many(...)
  local n, parts = select("#", ...), {...}
  local plain, size = true, 0
  for i = 1, n do
    local v = parts[i]
    local kind = type(v)
    if kind == "string" then
      size = size + #v
    elseif kind == "number" then
      parts[i] = text(v)
      size = size + #parts[i]
    else
      plain = false
      break
    end
  end
  if plain then
    reserve(size, "..")
    return (concat(parts, "", 1, n))
  end
  local right = parts[n]
  for i = n - 1, 1, -1 do right = joined(parts[i], right) end
  return right
end


local function concatenate(a, b, ...)
  local more = select("#", ...)
  if more == 0 then
    local ka, kb = type(a), type(b)
    if (ka == "string" or ka == "number" and prints_plainly(a))
      and (kb == "string" or kb == "number" and prints_plainly(b)) then
      local s = a .. b
      if #s > MAX_STRING then reserve(#s, "..") end
      local q = Q.n - #s / 64
      Q.n = q
      if q < 0 then out_of_fuel() end
      return s
    end
    return joined(a, b)
  end
  if more == 1 then
    local c = ...
    local ka, kb, kc = type(a), type(b), type(c)
    if (ka == "string" or ka == "number" and prints_plainly(a))
      and (kb == "string" or kb == "number" and prints_plainly(b))
      and (kc == "string" or kc == "number" and prints_plainly(c)) then
      local s = a .. b .. c
      if #s > MAX_STRING then reserve(#s, "..") end
      local q = Q.n - #s / 64
      Q.n = q
      if q < 0 then out_of_fuel() end
      return s
    end
  end
  return concatenate_many(a, b, ...)
end


-- Bits -------------------------------------------------------------------------------------------

local function whole(v, operator)
  if type(v) ~= "number" then
    local x = type(v) == "string" and spelled(v) or nil
    if x == nil then fail("attempt to perform bitwise operation on a " .. type(v) .. " value (operator '" .. operator .. "')") end
    v = x
  end
  if v % 1 ~= 0 then fail("number has no integer representation (operator '" .. operator .. "' on " .. text(v) .. ")") end
  if v > TWO53 or v < -TWO53 then
    fail("bit operators take numbers up to 2^53 in size (operator '" .. operator .. "' on " .. text(v) .. ")")
  end
  if v == 0 then return 0 end
  return v
end


local function refuse_size(operator)
  fail("the result of '" .. operator .. "' is beyond 2^53 and cannot be held exactly")
end


local function fitting(x, operator)
  if x > TWO53 or x < -TWO53 then refuse_size(operator) end
  return x
end


-- A binary operator from one on 32-bit words. Both halves keep their two's complement: the lower as
-- 0 .. 2^32-1, the upper signed.
local function by_words(operator, word)
  local tobit = deps.bit and deps.bit.tobit
  local function unsigned(x) return x % TWO32 end
  local function signed(x)
    x = x % TWO32
    if x >= 2147483648 then return x - TWO32 end
    return x
  end
  local function wide(a, b)
    a, b = whole(a, operator), whole(b, operator)
    local low_a, low_b = a % TWO32, b % TWO32
    local high_a, high_b = (a - low_a) / TWO32, (b - low_b) / TWO32
    local high = signed(word(high_a % TWO32, high_b % TWO32))
    local low = unsigned(word(low_a, low_b))
    -- On the words, because 2^53 + 1 would round to 2^53.
    if high > TWO21 or high == TWO21 and low > 0 or high < -TWO21 then refuse_size(operator) end
    return high * TWO32 + low
  end
  if tobit == nil then return wide end
  -- Operands that are 32-bit numbers, the usual case, are one instruction.
  return function(a, b)
    if type(a) == "number" and type(b) == "number" and tobit(a) == a and tobit(b) == b then
      return word(a, b)
    end
    local r = wide(a, b)
    return r
  end
end

local words = deps.bit or deps.bit32


local function complement(a)
  a = whole(a, "~")
  if a == TWO53 then refuse_size("~") end
  return -1 - a
end


local function shifted_left(a, n, operator)
  if n >= 64 then return 0 end
  local plain = a * 2 ^ n
  if plain <= TWO53 and plain >= -TWO53 then return plain end
  -- Below 11 places nothing that is kept could wrap to a number of 53 bits.
  if n < 11 then return fitting(plain, operator) end
  local modulus = 2 ^ (64 - n)
  local kept = a % modulus
  if kept * 2 ^ n >= TWO63 then kept = kept - modulus end
  return fitting(kept * 2 ^ n, operator)
end


-- Logical: zeros come in from the left, so a negative number becomes a large positive one.
local function shifted_right(a, n, operator)
  if n >= 64 then return 0 end
  if n == 0 or a >= 0 then return floor(a / 2 ^ n) end
  if n < 11 then return fitting(2 ^ (64 - n), operator) end
  return 2 ^ (64 - n) + floor(a / 2 ^ n)
end


local function shift_left(a, n)
  a, n = whole(a, "<<"), whole(n, "<<")
  if n < 0 then return shifted_right(a, -n, "<<") end
  return shifted_left(a, n, "<<")
end


local function shift_right(a, n)
  a, n = whole(a, ">>"), whole(n, ">>")
  if n < 0 then return shifted_left(a, -n, ">>") end
  return shifted_right(a, n, ">>")
end


return {
  P = power,
  D = floor_division,
  C = concatenate,
  BA = by_words("&", words.band),
  BO = by_words("|", words.bor),
  BX = by_words("~", words.bxor),
  BN = complement,
  SL = shift_left,
  SR = shift_right,
}
