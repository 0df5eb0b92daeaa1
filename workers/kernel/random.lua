-- Random streams: one per (seed, agent id, tick), counter-based, so that no agent stores a generator
-- and a turn's numbers depend on nothing but who draws, when, and how many were drawn before.
--
-- The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw 2011). All words are 32 bits.
--   x      = threefry(key = (seed mod 2^32, floor(seed / 2^32)), counter = (id, tick mod 2^32))
--   draw 1 : the words of x
--   draw k : threefry(key = x, counter = (k - 1, floor(tick / 2^32)))              k >= 2
--   number : (floor(w0 / 2^5) * 2^26 + floor(w1 / 2^6)) / 2^53                     in [0, 1)
-- tests/vectors/random.json has examples. A first draw costs one block, and it is computed only when asked
-- for: arming an agent that never draws is two stores.
--
-- `new(host)`: `host.length(list)` is the length that agents see, `host.meter` charges fuel and fails at the agent's
-- line. Both are looked up when used: the sandbox, which provides them, is itself built with this object.

local deps = ...

local getmetatable, select, type = getmetatable, select, type
local cos, exp, floor, log, sqrt = math.cos, math.exp, math.floor, math.log, math.sqrt
local abs, format, huge, pi = math.abs, string.format, math.huge, math.pi

local TWO32, TWO53 = 4294967296, 9007199254740992

local M = {}

-- block(k0, k1, c0, c1) -> two words; to_unit(w0, w1) -> the number; to_word(x) for 0 <= x < 2^53.
-- On LuaJIT words are int32 values, elsewhere any number congruent modulo 2^32.
local block, to_unit, to_word

if deps.vm == "luajit" then
  local tobit, rol, bxor, shr = deps.bit.tobit, deps.bit.rol, deps.bit.bxor, deps.bit.rshift

  -- Unrolled by hand: the JIT keeps all of it in registers (9 ns a first draw, arming included).
  function block(k0, k1, c0, c1)
    local k2 = bxor(0x1BD11BDA, k0, k1)
    local a, b = tobit(c0 + k0), tobit(c1 + k1)
    a = tobit(a + b) b = bxor(rol(b, 13), a) a = tobit(a + b) b = bxor(rol(b, 15), a)
    a = tobit(a + b) b = bxor(rol(b, 26), a) a = tobit(a + b) b = bxor(rol(b, 6), a)
    a = tobit(a + k1) b = tobit(tobit(b + k2) + 1)
    a = tobit(a + b) b = bxor(rol(b, 17), a) a = tobit(a + b) b = bxor(rol(b, 29), a)
    a = tobit(a + b) b = bxor(rol(b, 16), a) a = tobit(a + b) b = bxor(rol(b, 24), a)
    a = tobit(a + k2) b = tobit(tobit(b + k0) + 2)
    a = tobit(a + b) b = bxor(rol(b, 13), a) a = tobit(a + b) b = bxor(rol(b, 15), a)
    a = tobit(a + b) b = bxor(rol(b, 26), a) a = tobit(a + b) b = bxor(rol(b, 6), a)
    a = tobit(a + k0) b = tobit(tobit(b + k1) + 3)
    a = tobit(a + b) b = bxor(rol(b, 17), a) a = tobit(a + b) b = bxor(rol(b, 29), a)
    a = tobit(a + b) b = bxor(rol(b, 16), a) a = tobit(a + b) b = bxor(rol(b, 24), a)
    a = tobit(a + k1) b = tobit(tobit(b + k2) + 4)
    a = tobit(a + b) b = bxor(rol(b, 13), a) a = tobit(a + b) b = bxor(rol(b, 15), a)
    a = tobit(a + b) b = bxor(rol(b, 26), a) a = tobit(a + b) b = bxor(rol(b, 6), a)
    return tobit(a + k2), tobit(tobit(b + k0) + 5)
  end

  function to_unit(w0, w1) return (shr(w0, 5) * 67108864 + shr(w1, 6)) / TWO53 end

  function to_word(x) return tobit(x % TWO32) end -- tobit alone is defined only below 2^51
else
  local rol, bxor, shr = deps.bit32.lrotate, deps.bit32.bxor, deps.bit32.rshift

  -- bit32 reduces its arguments modulo 2^32, so sums may grow; no sum here exceeds 2^38.
  function block(k0, k1, c0, c1)
    local k2 = bxor(0x1BD11BDA, k0, k1)
    local a, b = c0 + k0, c1 + k1
    a = a + b b = bxor(rol(b, 13), a) a = a + b b = bxor(rol(b, 15), a)
    a = a + b b = bxor(rol(b, 26), a) a = a + b b = bxor(rol(b, 6), a)
    a = a + k1 b = b + k2 + 1
    a = a + b b = bxor(rol(b, 17), a) a = a + b b = bxor(rol(b, 29), a)
    a = a + b b = bxor(rol(b, 16), a) a = a + b b = bxor(rol(b, 24), a)
    a = a + k2 b = b + k0 + 2
    a = a + b b = bxor(rol(b, 13), a) a = a + b b = bxor(rol(b, 15), a)
    a = a + b b = bxor(rol(b, 26), a) a = a + b b = bxor(rol(b, 6), a)
    a = a + k0 b = b + k1 + 3
    a = a + b b = bxor(rol(b, 17), a) a = a + b b = bxor(rol(b, 29), a)
    a = a + b b = bxor(rol(b, 16), a) a = a + b b = bxor(rol(b, 24), a)
    a = a + k1 b = b + k2 + 4
    a = a + b b = bxor(rol(b, 13), a) a = a + b b = bxor(rol(b, 15), a)
    a = a + b b = bxor(rol(b, 26), a) a = a + b b = bxor(rol(b, 6), a)
    return (a + k2) % TWO32, (b + k0 + 5) % TWO32
  end

  function to_unit(w0, w1) return (shr(w0, 5) * 67108864 + shr(w1, 6)) / TWO53 end

  function to_word(x) return x % TWO32 end
end

-- threefry(k0, k1, c0, c1) -> two words as numbers 0..2^32-1, for tests and for the engine's own draws.
function M.threefry(k0, k1, c0, c1)
  local a, b = block(to_word(k0), to_word(k1), to_word(c0), to_word(c1))
  return a % TWO32, b % TWO32
end

-- log(gamma(x)) for x >= 1 by Stirling's series, relative error below 1e-14.
local function log_gamma(x)
  local shift = 0
  while x < 8 do
    shift = shift + log(x)
    x = x + 1
  end
  local r = 1 / (x * x)
  local series = (((((-691 / 360360 * r + 1 / 1188) * r - 1 / 1680) * r + 1 / 1260) * r - 1 / 360) * r + 1 / 12) / x
  return (x - 0.5) * log(x) - x + 0.91893853320467274178 + series - shift
end

-- %.14g as both VMs print it, for error messages.
local function show(v)
  if type(v) == "number" then
    return v ~= v and "nan" or format("%.14g", v)
  end
  return type(v) == "string" and format("%q", v) or type(v) == "nil" and "nil" or "a " .. type(v)
end

function M.new(host)
  host = host or deps

  local function fail(message) return host.meter.fail(message) end

  local function need_number(v, what)
    if type(v) ~= "number" or v ~= v or v == huge or v == -huge then
      fail(what .. " must be a finite number, got " .. show(v))
    end
  end

  local function need_integer(v, what)
    if type(v) ~= "number" or v ~= floor(v) or v > TWO53 or v < -TWO53 then
      fail(what .. " must be a whole number, got " .. show(v))
    end
  end

  local function need_list(v, what)
    if type(v) ~= "table" then fail(what .. " needs a list, got " .. show(v)) end
  end

  local R = {}
  local k0, k1, tick_low, tick_high = 0, 0, 0, 0
  local id, drawn = 0, 0
  local x0, x1 = 0, 0

  -- at(seed, tick): once per tick, before any arm.
  function R.at(seed, tick)
    k0, k1 = to_word(seed), to_word(floor(seed / TWO32))
    tick_low, tick_high = to_word(tick), to_word(floor(tick / TWO32))
    drawn = 0
  end

  -- arm(id): the numbers that follow are this agent's, from its first.
  function R.arm(agent)
    id = agent
    drawn = 0
  end

  -- save() -> id, count; resume(id, count): go on within the same seed and tick where save stood.
  function R.save() return id, drawn end

  function R.resume(agent, count)
    id, drawn = agent, count
    if count > 0 then
      x0, x1 = block(k0, k1, agent, tick_low)
    end
  end

  local function uniform()
    local k = drawn
    local a, b
    if k == 0 then
      a, b = block(k0, k1, id, tick_low)
      x0, x1 = a, b
    else
      a, b = block(x0, x1, k, tick_high)
    end
    drawn = k + 1
    return to_unit(a, b)
  end
  R.uniform = uniform

  -- random() in [0, 1); random(n) in 1..n; random(a, b) in a..b.
  function R.random(...)
    local n = select("#", ...)
    if n == 0 then return uniform() end
    local low, high = ...
    if n == 1 then
      need_integer(low, "random(n): n")
      if low < 1 then fail("random(n): n must be at least 1, got " .. show(low)) end
      return floor(uniform() * low) + 1
    end
    if n > 2 then fail("random takes at most two arguments, got " .. n) end
    need_integer(low, "random(a, b): a")
    need_integer(high, "random(a, b): b")
    if high < low then
      fail("random(a, b): b must not be below a, got " .. show(low) .. ", " .. show(high))
    end
    if high - low >= TWO53 then
      fail("random(a, b): the range must be below 2^53, got " .. show(low) .. ", " .. show(high))
    end
    return low + floor(uniform() * (high - low + 1))
  end

  -- choice(list): one element, each equally likely; a list from agents() works too.
  function R.choice(list)
    need_list(list, "choice")
    local n = host.length(list)
    if n == 0 then
      fail("choice needs a list with at least one element; test `#list > 0` first")
    end
    return list[floor(uniform() * n) + 1]
  end

  -- shuffle(list): in place (Fisher-Yates from the end), returns the list.
  function R.shuffle(list)
    need_list(list, "shuffle")
    local meta = getmetatable(list)
    if type(meta) == "table" and meta.__count then
      fail("shuffle changes its list, and a list from agents() is read-only; copy it into a table first")
    end
    local n = host.length(list)
    host.meter.charge(n)
    for i = n, 2, -1 do
      local j = floor(uniform() * i) + 1
      list[i], list[j] = list[j], list[i]
    end
    return list
  end

  -- normal(mean = 0, sd = 1): Box-Muller, two draws each time. Its second number is not kept: a turn's
  -- stream would otherwise depend on what an earlier turn left behind.
  function R.normal(mean, sd)
    if mean == nil then mean = 0 end
    if sd == nil then sd = 1 end
    need_number(mean, "normal(mean, sd): mean")
    need_number(sd, "normal(mean, sd): sd")
    if sd < 0 then fail("normal(mean, sd): sd must not be negative, got " .. show(sd)) end
    local radius = sqrt(-2 * log(1 - uniform()))
    return mean + sd * (radius * cos(2 * pi * uniform()))
  end

  -- exponential(rate = 1): mean 1 / rate.
  function R.exponential(rate)
    if rate == nil then rate = 1 end
    need_number(rate, "exponential(rate): rate")
    if rate <= 0 then fail("exponential(rate): rate must be above 0, got " .. show(rate)) end
    return -log(1 - uniform()) / rate
  end

  -- Hoermann's PTRS (1993): exact rejection, about 2.3 draws whatever the mean. Sums of small Poissons would
  -- need a draw per event, and so a fuel charge.
  local function poisson_large(mean)
    local b = 0.931 + 2.53 * sqrt(mean)
    local a = -0.059 + 0.02483 * b
    local inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    local v_r = 0.9277 - 3.6224 / (b - 2)
    local log_mean = log(mean)
    while true do
      local u = uniform() - 0.5
      local v = uniform()
      local us = 0.5 - abs(u)
      local k = floor((2 * a / us + b) * u + mean + 0.43)
      if us >= 0.07 and v <= v_r then return k end
      if
        k >= 0
        and (us >= 0.013 or v <= us)
        and log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - log_gamma(k + 1)
      then
        return k
      end
    end
  end

  -- poisson(mean): below 30 by multiplying uniforms (one draw more than the result), above by rejection.
  function R.poisson(mean)
    need_number(mean, "poisson(mean): mean")
    if mean < 0 then fail("poisson(mean): mean must not be negative, got " .. show(mean)) end
    if mean > 1e9 then
      fail("poisson(mean): mean must be at most 1e9, got " .. show(mean)
        .. "; for more, round normal(mean, math.sqrt(mean))")
    end
    if mean >= 30 then return poisson_large(mean) end
    local limit, product, count = exp(-mean), uniform(), 0
    while product > limit do
      count = count + 1
      product = product * uniform()
    end
    return count
  end

  return R
end

return M
