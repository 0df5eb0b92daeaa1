-- Values as text and text as values, argument checks, and the length of a list: the same on every VM.
--
-- The VMs differ in how they print NaN, in which strings they take for numbers ("inf", "0b11") and in
-- the length of a table with holes, which depends on the table's history in all of them.

local deps = ...
local fail, charge = deps.meter.fail, deps.meter.charge
local type, getmetatable, rawget = type, getmetatable, rawget
local raw_tostring, raw_tonumber = tostring, tonumber
local find, byte, sub, lower, raw_format = string.find, string.byte, string.sub, string.lower, string.format

-- The longest string that any function of the sandbox makes, and the most values it returns at once.
local MAX_STRING = 1048576
local MAX_VALUES = 250


-- Text -------------------------------------------------------------------------------------------

-- LuaJIT rounds some numbers beyond 1e38 or below 1e-38 wrongly to 14 digits or fewer (one in some 30 000). A
-- number in the middle of the interval that rounds to the right digits gets them.
local function printable(x, digits)
  if digits > 14 or deps.vm ~= "luajit" or x == 0 then return x end
  local size = x < 0 and -x or x
  if size < 1e38 and size > 1e-38 or size == 1 / 0 then return x end
  local _, _, first, rest, exponent = find(raw_format("%.60e", size), "^(%d)%.(%d+)e(.+)$")
  local inside = byte(rest, digits) >= 53 and "8" or "2"
  local y = raw_tonumber(first .. "." .. sub(rest, 1, digits - 1) .. inside .. "e" .. exponent)
  if y == 1 / 0 then return x end
  if x < 0 then return -y end
  return y
end


-- Whether the VM's own text for a number serves on both VMs as it is.
local function prints_plainly(x)
  return x < 1e38 and x > 1e-38 or x < -1e-38 and x > -1e38 or x == 0
end


-- Neither VM prints an address: it would differ in every run.
local function text(v)
  local kind = type(v)
  if kind == "string" then return v end
  if kind == "number" then
    if prints_plainly(v) then return raw_tostring(v) end
    if v ~= v then return "nan" end
    return raw_tostring(printable(v, 14))
  end
  if kind == "nil" or kind == "boolean" then return raw_tostring(v) end
  if kind == "table" then
    local meta = getmetatable(v)
    if type(meta) == "table" and meta.__tostring ~= nil then
      charge(1)
      local made = meta.__tostring(v)
      if type(made) ~= "string" then fail("'__tostring' must return a string") end
      return made
    end
  end
  return "<" .. kind .. ">"
end


-- Names a value in an error message.
local function describe(v)
  if type(v) == "string" then return "a string" end
  if v == nil then return "nil" end
  return "a " .. type(v)
end


-- Numbers ----------------------------------------------------------------------------------------

-- The number that a string spells, or nil: LuaJIT also reads "inf", "nan" and "0b11".
local function read_number(s)
  if not find(s, "^[ \t\n\v\f\r]*[+-]?%.?[0-9]") or find(s, "^[ \t\n\v\f\r]*[+-]?0[bB]") then return nil end
  return raw_tonumber(s)
end


local function spelled(s)
  charge(#s / 64)
  return (read_number(s))
end


-- What LuaJIT's arithmetic reads as a number, at no charge, as there.
local function implied_number(s)
  local plain = read_number(s)
  if plain ~= nil then return plain end
  local _, _, sign, word = find(s, "^[ \t\n\v\f\r]*([+-]?)([0-9A-Za-z]+)[ \t\n\v\f\r]*$")
  if word == nil then return nil end
  word = lower(word)
  local x = nil
  if word == "inf" or word == "infinity" then x = 1 / 0 end
  if word == "nan" then x = 0 / 0 end
  if find(word, "^0b[01]+$") then
    x = 0
    for i = 3, #word do x = x * 2 + byte(word, i) - 48 end
  end
  if x ~= nil and sign == "-" then return -x end
  return x
end


local function digit_value(c)
  if c >= 48 and c <= 57 then return c - 48 end
  if c >= 97 and c <= 122 then return c - 87 end
  return 99
end


-- Any number of digits gives a number, rounded as it goes, as with every VM's own.
local function spelled_in(s, base)
  charge(#s / 8)
  local _, _, sign, digits = find(s, "^[ \t\n\v\f\r]*(-?)([0-9A-Za-z]+)[ \t\n\v\f\r]*$")
  if digits == nil then return nil end
  digits = lower(digits)
  local value = 0
  for i = 1, #digits do
    local d = digit_value(byte(digits, i))
    if d >= base then return nil end
    value = value * base + d
  end
  if sign == "-" then return -value end
  return value
end


local function to_number(v, base)
  local kind = type(v)
  if base == nil then
    if kind == "number" then return v end
    if kind == "string" then return spelled(v) end
    return nil
  end
  if type(base) ~= "number" or base % 1 ~= 0 or base < 2 or base > 36 then
    fail("bad argument #2 to 'tonumber' (base out of range)")
  end
  if kind == "number" then v = text(v) kind = "string" end
  if kind ~= "string" then fail("bad argument #1 to 'tonumber' (string expected, got " .. kind .. ")") end
  return spelled_in(v, base)
end


-- Arguments --------------------------------------------------------------------------------------

local function expected(what, v, n, name)
  local got = v == nil and "nil" or type(v)
  fail("bad argument #" .. n .. " to '" .. name .. "' (" .. what .. " expected, got " .. got .. ")")
end


-- A string argument; numbers count as their text.
local function as_string(v, n, name)
  if type(v) == "string" then return v end
  if type(v) == "number" then return text(v) end
  expected("string", v, n, name)
end


local function as_number(v, n, name)
  if type(v) == "number" then return v end
  if type(v) == "string" then
    local number = spelled(v)
    if number ~= nil then return number end
  end
  expected("number", v, n, name)
end


-- A whole-number argument, cut toward zero as in Lua 5.1; the default where it is nil.
local function as_whole(v, n, name, default)
  if v == nil and default ~= nil then return default end
  if type(v) ~= "number" then v = as_number(v, n, name) end
  local rest = v % 1
  if rest == 0 then return v end
  if rest ~= rest then
    fail("bad argument #" .. n .. " to '" .. name .. "' (number has no integer representation)")
  end
  if v < 0 then return v - rest + 1 end
  return v - rest
end


local function as_table(v, n, name)
  if type(v) ~= "table" then expected("table", v, n, name) end
  return v
end


-- Lengths ----------------------------------------------------------------------------------------

-- Half of 2^53: beyond it neighbouring whole numbers are no longer distinct.
local MAX_PROBE = 4503599627370496

-- The border found by doubling, then halving, the step: a function of content alone. `raw` avoids
-- `__index` where there is a metatable.
local function raw_border(t)
  if rawget(t, 1) == nil then return 0 end
  local last = 1
  while last < MAX_PROBE and rawget(t, last + last) ~= nil do last = last + last end
  local step = last
  while step >= 2 do
    step = step * 0.5
    if rawget(t, last + step) ~= nil then last = last + step end
  end
  return last
end


-- What `#` is rewritten to. A metatable's `__count` is set by the kernel alone (lists of agents);
-- `__of` names the table behind a read-only one.
local function length(v)
  local kind = type(v)
  if kind == "string" then return #v end
  if kind ~= "table" then fail("attempt to get length of a " .. kind .. " value") end
  local meta = getmetatable(v)
  if meta == nil then
    if v[1] == nil then return 0 end
    local last = 1
    while last < MAX_PROBE and v[last + last] ~= nil do last = last + last end
    local step = last
    while step >= 2 do
      step = step * 0.5
      if v[last + step] ~= nil then last = last + step end
    end
    return last
  end
  if type(meta) == "table" then
    if meta.__count ~= nil then return meta.__count end
    if meta.__of ~= nil then return raw_border(meta.__of) end
    if meta.__len ~= nil then
      local made = meta.__len(v)
      return made
    end
  end
  return raw_border(v)
end


-- Refuses to make a string of `n` bytes when that is too long, and charges for it otherwise.
local function reserve(n, name)
  if n > MAX_STRING then
    fail("'" .. name .. "' would make a string of " .. text(n) .. " bytes; the longest allowed is "
      .. MAX_STRING .. " (1 MiB)")
  end
  charge(n / 64)
end


return {
  MAX_STRING = MAX_STRING,
  MAX_VALUES = MAX_VALUES,
  text = text,
  printable = printable,
  prints_plainly = prints_plainly,
  describe = describe,
  to_number = to_number,
  spelled = spelled,
  implied_number = implied_number,
  as_string = as_string,
  as_number = as_number,
  as_whole = as_whole,
  as_table = as_table,
  length = length,
  raw_border = raw_border,
  reserve = reserve,
  expected = expected,
}
