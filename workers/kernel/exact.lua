-- Exact sums of doubles: the result is that of real arithmetic, rounded once, so it depends neither on the order
-- of the additions nor on how the addends were split among workers.
--
-- An accumulator holds its sum in two layers:
-- * s + c + d, three doubles fed by error-free additions (Knuth's two-sum): covers nearly all data;
-- * limbs[j], integers of weight 2^(24 j), for what the three cannot hold: a long accumulator over the whole range
--   of doubles and of their products, so that neither overflow nor underflow loses a bit.
-- NaN and infinities are flags, because they must not depend on order either: any NaN, or both
-- infinities, give NaN.
--
-- In a compiled loop `add` costs 1 to 6 ns for whole numbers (the plain sum 0.5) and about 6 for others, 30 where sizes
-- differ by 10^40, so the caller needs no special case for whole numbers:
--
--   local add, acc = exact.add, exact.new()
--   for i = 1, n do add(acc, ...) end

local deps = ...
local decode = deps.codec and deps.codec.decode

local abs, error, floor, frexp, ldexp, next, type = math.abs, error, math.floor, math.frexp, math.ldexp, next, type
local huge = math.huge

local BASE, TWO29, TWO53 = 16777216, 536870912, 9007199254740992
local SPLITTER = 134217729 -- 2^27 + 1
local TINY, LARGE = 2 ^ -900, 2 ^ 990
-- A deposit adds less than 2^29 to a limb, so limbs stay below 2^53 for 2^24 deposits.
local DEPOSITS = 4194304

local M = {}

function M.new()
  return { s = 0, c = 0, d = 0, limbs = false, deposits = 0, nan = false, plus = false, minus = false }
end

-- Limbs ------------------------------------------------------------------------------------------------------

local function range(limbs)
  local low, high
  for j in next, limbs do
    if low == nil or j < low then low = j end
    if high == nil or j > high then high = j end
  end
  return low, high
end

-- Carries, so that every limb but the highest is in 0 .. 2^24-1; the highest keeps the sign, below 2^24 in size.
local function carry(limbs)
  local low, high = range(limbs)
  if low == nil then return end
  local v, j = limbs[low], low
  while j < high or v >= BASE or v <= -BASE do
    local digit = v % BASE
    limbs[j] = digit
    j = j + 1
    v = (limbs[j] or 0) + (v - digit) / BASE
  end
  limbs[j] = v
end

-- limbs += m * 2^e, m a whole number below 2^53 in size.
local function deposit(limbs, m, e)
  local j = floor(e / 24)
  local scale = 2 ^ (e - 24 * j)
  local low = m % TWO29
  local high = (m - low) / TWO29 * (scale * 32) -- weight 2^(24 (j + 1)); 29 = 24 + 5
  low = low * scale
  local low_digit, high_digit = low % BASE, high % BASE
  limbs[j] = (limbs[j] or 0) + low_digit
  limbs[j + 1] = (limbs[j + 1] or 0) + (low - low_digit) / BASE + high_digit
  limbs[j + 2] = (limbs[j + 2] or 0) + (high - high_digit) / BASE
end

local function deposit_double(limbs, x)
  if x ~= 0 then
    local m, e = frexp(x)
    deposit(limbs, m * TWO53, e - 53)
  end
end

local function into_limbs(acc, x)
  local limbs = acc.limbs
  if not limbs then
    limbs = {}
    acc.limbs = limbs
  end
  acc.deposits = acc.deposits + 1
  if acc.deposits > DEPOSITS then
    carry(limbs)
    acc.deposits = 1
  end
  deposit_double(limbs, x)
end

-- Adding -----------------------------------------------------------------------------------------------------

local function note(acc, x)
  if x == huge then
    acc.plus = true
  elseif x == -huge then
    acc.minus = true
  else
    acc.nan = true
  end
end

-- x, where the first two doubles could not hold the sum.
local function add_wide(acc, x, s, c, rest)
  if not (x > -huge and x < huge) then return note(acc, x) end
  local d = acc.d
  local t = d + rest
  local b = t - d
  local e = (d - (t - b)) + (rest - b)
  if e ~= e then return into_limbs(acc, x) end -- something overflowed on the way
  acc.s, acc.c, acc.d = s, c, t
  if e ~= 0 then into_limbs(acc, e) end
end

-- Adds a double.
local function add(acc, x)
  local s = acc.s
  local t = s + x
  local b = t - s
  local e = (s - (t - b)) + (x - b)
  if e == 0 then
    acc.s = t
    return
  end
  local c = acc.c
  local u = c + e
  b = u - c
  local rest = (c - (u - b)) + (e - b)
  if rest == 0 then
    acc.s, acc.c = t, u
    return
  end
  return add_wide(acc, x, t, u, rest)
end
M.add = add

-- The product where Dekker's would lose bits to overflow or underflow: mantissas in three pieces of 18 bits.
local function add_product_wide(acc, x, y)
  if x ~= x or y ~= y or abs(x) == huge or abs(y) == huge then return note(acc, x * y) end
  if x == 0 or y == 0 then return end
  local mx, ex = frexp(x)
  local my, ey = frexp(y)
  mx, my = mx * TWO53, my * TWO53
  local x0 = mx % 262144
  local x1 = (mx - x0) / 262144 % 262144
  local xs = { x0, x1, ((mx - x0) / 262144 - x1) / 262144 }
  local y0 = my % 262144
  local y1 = (my - y0) / 262144 % 262144
  local ys = { y0, y1, ((my - y0) / 262144 - y1) / 262144 }
  into_limbs(acc, 0)
  acc.deposits = acc.deposits + 9
  for i = 1, 3 do
    for k = 1, 3 do deposit(acc.limbs, xs[i] * ys[k], ex + ey - 106 + 18 * (i + k - 2)) end
  end
end

-- Adds x * y without rounding the product (Dekker, Veltkamp).
function M.add_product(acc, x, y)
  local p = x * y
  if x < LARGE and x > -LARGE and y < LARGE and y > -LARGE and abs(p) < LARGE and abs(p) > TINY then
    local a = SPLITTER * x
    local xh = a - (a - x)
    local xl = x - xh
    a = SPLITTER * y
    local yh = a - (a - y)
    local yl = y - yh
    local e = ((xh * yh - p) + xh * yl + xl * yh) + xl * yl
    add(acc, p)
    if e ~= 0 then add(acc, e) end
    return
  end
  return add_product_wide(acc, x, y)
end

-- acc += other; other stays as it is.
function M.merge(acc, other)
  acc.nan = acc.nan or other.nan
  acc.plus = acc.plus or other.plus
  acc.minus = acc.minus or other.minus
  add(acc, other.s)
  add(acc, other.c)
  add(acc, other.d)
  if other.limbs then
    into_limbs(acc, 0)
    carry(acc.limbs)
    carry(other.limbs)
    for j, v in next, other.limbs do acc.limbs[j] = (acc.limbs[j] or 0) + v end
    acc.deposits, other.deposits = 2, 1
  end
  return acc
end

-- Values -----------------------------------------------------------------------------------------------------

-- A fresh table of limbs with the whole finite sum.
local function all_limbs(acc)
  local limbs = {}
  if acc.limbs then
    carry(acc.limbs)
    acc.deposits = 1
    for j, v in next, acc.limbs do limbs[j] = v end
  end
  deposit_double(limbs, acc.s)
  deposit_double(limbs, acc.c)
  deposit_double(limbs, acc.d)
  carry(limbs)
  return limbs
end

-- The sum of carried limbs, rounded to nearest even: m, e with value m * 2^e and |m| <= 2^53; e at least -1074.
local function round(limbs)
  local low, high = range(limbs)
  while high and limbs[high] == 0 do
    limbs[high] = nil
    low, high = range(limbs)
  end
  if high == nil then return 0, 0 end
  local sign = 1
  if limbs[high] < 0 then
    sign = -1
    local negative = {}
    for j, v in next, limbs do negative[j] = -v end
    limbs = negative
    carry(limbs)
    low, high = range(limbs)
    while limbs[high] == 0 do high = high - 1 end
  end
  local _, bits = frexp(limbs[high])
  local unit = 24 * high + bits - 53
  if unit < -1074 then unit = -1074 end
  local at = floor(unit / 24)
  local shift = unit - 24 * at
  local m = 0
  for j = high, at + 1, -1 do m = m + (limbs[j] or 0) * 2 ^ (24 * j - unit) end
  -- What is cut off: `rest` of `whole`, and whether anything lies below.
  local rest, whole, below
  if shift == 0 then
    m = m + (limbs[at] or 0)
    rest, whole, below = limbs[at - 1] or 0, BASE, at - 2
  else
    local digit = limbs[at] or 0
    whole, below = 2 ^ shift, at - 1
    rest = digit % whole
    m = m + (digit - rest) / whole
  end
  if rest * 2 > whole then
    m = m + 1
  elseif rest * 2 == whole then
    local more = m % 2 == 1
    for j = below, low, -1 do
      if (limbs[j] or 0) ~= 0 then more = true end
    end
    if more then m = m + 1 end
  end
  return sign * m, unit
end

-- NaN or an infinity if the sum is one, else nil.
local function special(acc)
  if acc.nan or (acc.plus and acc.minus) then return 0 / 0 end
  if acc.plus then return huge end
  if acc.minus then return -huge end
  return nil
end
M.special = special

-- The sum, rounded once to nearest even; never -0.
local function value(acc)
  local x = special(acc)
  if x ~= nil then return x end
  if acc.d == 0 and not acc.limbs then
    x = acc.s + acc.c -- one rounding of an exact sum of two
    if x > -huge and x < huge then
      if x == 0 then return 0 end
      return x
    end
  end
  local m, e = round(all_limbs(acc))
  if m == 0 then return 0 end
  return ldexp(m, e)
end
M.value = value

-- The sum divided by n: the rounded sum over n, also where that sum is beyond the largest double.
function M.mean(acc, n)
  local x = value(acc)
  if abs(x) ~= huge or special(acc) ~= nil then return x / n end
  local m, e = round(all_limbs(acc))
  return ldexp(m / n, e)
end

-- into += x * y * sign, all carried limbs.
local function multiply(into, x, y, sign)
  for i, a in next, x do
    for j, b in next, y do
      local v = a * b * sign -- below 2^48
      local digit = v % BASE
      into[i + j] = (into[i + j] or 0) + digit
      into[i + j + 1] = (into[i + j + 1] or 0) + (v - digit) / BASE
    end
  end
end

-- Population variance of n values from their sum and their sum of squares: n * squares - sum^2 is exact, so nothing
-- cancels; then it is rounded and divided by n twice.
function M.variance(n, sum, squares)
  if special(sum) ~= nil or special(squares) ~= nil then return 0 / 0 end
  local count = {}
  deposit(count, n, 0)
  carry(count)
  local sum_limbs, total = all_limbs(sum), {}
  multiply(total, all_limbs(squares), count, 1)
  multiply(total, sum_limbs, sum_limbs, -1)
  carry(total)
  local m, e = round(total)
  if m == 0 then return 0 end
  return ldexp(m / n / n, e)
end

-- Bytes ------------------------------------------------------------------------------------------------------
-- An array: s, c; and where needed d, flags (1 NaN, 2 plus, 4 minus), lowest limb's index, limbs from there.

function M.write(w, acc)
  local flags = (acc.nan and 1 or 0) + (acc.plus and 2 or 0) + (acc.minus and 4 or 0)
  if acc.d == 0 and flags == 0 and not acc.limbs then
    w:array(2)
    w:num(acc.s)
    w:num(acc.c)
    return
  end
  local low, high = 0, -1
  if acc.limbs then
    carry(acc.limbs)
    acc.deposits = 1
    low, high = range(acc.limbs)
  end
  w:array(5 + high - low + 1)
  w:num(acc.s)
  w:num(acc.c)
  w:num(acc.d)
  w:num(flags)
  w:num(low)
  for j = low, high do w:num(acc.limbs[j] or 0) end
end

function M.read(s, pos)
  local list
  list, pos = decode(s, pos)
  if type(list) ~= "table" then error("malformed data: not an exact sum", 0) end
  local n = #list
  if n ~= 2 and n < 5 then error("malformed data: not an exact sum", 0) end
  for i = 1, n do
    if type(list[i]) ~= "number" then error("malformed data: not an exact sum", 0) end
  end
  local acc = M.new()
  acc.s, acc.c = list[1], list[2]
  if n > 2 then
    local flags = list[4]
    acc.d = list[3]
    acc.nan, acc.plus, acc.minus = flags % 2 >= 1, flags % 4 >= 2, flags % 8 >= 4
    if n > 5 then
      local low = list[5]
      if floor(low) ~= low or abs(low) > 200 or n > 400 then error("malformed data: not an exact sum", 0) end
      acc.limbs, acc.deposits = {}, 1
      for i = 6, n do
        if list[i] % 1 ~= 0 or abs(list[i]) > BASE then error("malformed data: not an exact sum", 0) end
        acc.limbs[low + i - 6] = list[i]
      end
    end
  end
  return acc, pos
end

return M
