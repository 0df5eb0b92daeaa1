-- The math library of agents. Functions on which the VMs agree are the VM's own, unwrapped, so that
-- the JIT compiles them to instructions; the others are written here.

local deps = ...
local fail, as_number, operators = deps.meter.fail, deps.values.as_number, deps.operators
local type, select, math = type, select, math
local log, floor, atan, atan2, ldexp = math.log, math.floor, math.atan, math.atan2, math.ldexp
local raw_log10 = math.log10 or function(x) return log(x, 10) end

local M = {pi = math.pi, huge = math.huge, pow = operators.P, random = deps.rng.random}
for _, name in ipairs({
  "abs", "acos", "asin", "atan2", "ceil", "cos", "cosh", "exp", "floor", "fmod", "frexp", "ldexp", "modf", "sin", "sinh",
  "sqrt", "tan", "tanh",
}) do
  M[name] = math[name]
end


-- With NaN and signed zeros the VMs' own depend on the order of the arguments in different ways.
local function extreme(name, takes)
  local function many(a, ...)
    local best = as_number(a, 1, name)
    for i = 1, select("#", ...) do
      local x = as_number((select(i, ...)), i + 1, name)
      if takes(x, best) then best = x end
    end
    return best
  end
  return many
end

local max_of = extreme("max", function(x, best) return x > best end)
local min_of = extreme("min", function(x, best) return x < best end)

function M.max(a, ...)
  local b, more = ..., select("#", ...)
  if more == 1 and type(a) == "number" and type(b) == "number" then
    if b > a then return b end
    return a
  end
  local r = max_of(a, ...)
  return r
end

function M.min(a, ...)
  local b, more = ..., select("#", ...)
  if more == 1 and type(a) == "number" and type(b) == "number" then
    if b < a then return b end
    return a
  end
  local r = min_of(a, ...)
  return r
end


-- One multiplies, the other divides.
function M.deg(x) return as_number(x, 1, "deg") * (180 / math.pi) end
function M.rad(x) return as_number(x, 1, "rad") * (math.pi / 180) end


-- One or two arguments, as in Lua 5.4.
function M.atan(y, x)
  if x == nil then return (atan(y)) end
  return (atan2(y, x))
end


-- Whole powers of the base give whole logarithms.
function M.log(x, base)
  if base == nil then return (log(x)) end
  x, base = as_number(x, 1, "log"), as_number(base, 2, "log")
  if base == 10 then return (raw_log10(x)) end
  local r = log(x) / log(base)
  if base == 2 and r - r == 0 then
    local whole = floor(r + 0.5)
    if ldexp(1, whole) == x then return whole end
  end
  return r
end


function M.log10(x) return (raw_log10(as_number(x, 1, "log10"))) end


function M.randomseed()
  fail("math.randomseed is refused: a simulation has one seed, given when it is created (--seed N),"
    .. " and every agent its own stream from it")
end

return M
