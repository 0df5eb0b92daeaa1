-- string.format with one result on every VM.
--
-- A format is parsed once and kept. The VM formats finite numbers (both round correctly); NaN,
-- infinities, strings with width and `%q` are done here, because there the VMs and C libraries differ.

local deps = ...
local meter, values = deps.meter, deps.values
local fail, charge = meter.fail, meter.charge
local text, reserve, as_number, MAX_STRING = values.text, values.reserve, values.as_number, values.MAX_STRING
local raw_format, gsub, find, sub, byte, char = string.format, string.gsub, string.find, string.sub, string.byte, string.char
local rep, concat, upper = string.rep, table.concat, string.upper
local select, type, tonumber = select, type, tonumber

local TWO53 = 9007199254740992
-- Formats remembered; agents that build formats at run time must not fill the memory.
local MAX_PARSED = 200


-- Parsing ----------------------------------------------------------------------------------------

local KINDS = {
  d = "whole", i = "whole", x = "unsigned", X = "unsigned", o = "unsigned", c = "char",
  e = "float", E = "float", f = "float", g = "float", G = "float", s = "string", q = "quoted",
}

-- Digits that %e or %g shows.
local function significant(letter, places)
  places = places or 6
  if letter == "e" or letter == "E" then return places + 1 end
  return places == 0 and 1 or places
end


-- A list of strings (literal text) and items.
local function parse(pattern)
  charge(#pattern / 8)
  local parts, n, at = {}, 0, 1
  while true do
    local place = find(pattern, "%", at, true)
    if place == nil then
      parts[n + 1] = sub(pattern, at)
      return parts
    end
    if place > at then
      n = n + 1
      parts[n] = sub(pattern, at, place - 1)
    end
    if sub(pattern, place + 1, place + 1) == "%" then
      n = n + 1
      parts[n] = "%"
      at = place + 2
    else
      local _, last, flags, width, dot, precision, letter =
        find(pattern, "^([%-%+ #0]*)(%d*)(%.?)(%d*)(.?)", place + 1)
      local spec = sub(pattern, place, last)
      if #flags > 5 or #width > 2 or #precision > 2 then
        fail("invalid format '" .. sub(spec, 1, 40) .. "' (repeated flags, or width or precision above 99)")
      end
      local kind = KINDS[letter]
      if kind == nil then
        fail("invalid option '" .. sub(spec, 1, 40) .. "' to 'format'; there are %d %s %f %g %e %x %o %c %q %%")
      end
      if letter == "i" then letter = "d" end
      local places = nil
      if dot == "." then places = tonumber(precision) or 0 end
      n = n + 1
      parts[n] = {
        kind = kind, letter = letter, left = find(flags, "-", 1, true) ~= nil,
        plus = find(flags, "+", 1, true) and "+" or find(flags, " ", 1, true) and " " or "",
        width = tonumber(width) or 0,
        precision = places,
        spec = "%" .. flags .. width .. dot .. precision .. letter,
        large = "%" .. flags .. width .. ".0f",
        digits = significant(letter, places),
      }
      at = last + 1
    end
  end
end


local parsed, parsed_count = {}, 0

local function parts_of(pattern)
  local parts = parsed[pattern]
  if parts == nil then
    parts = parse(pattern)
    if parsed_count >= MAX_PARSED then parsed, parsed_count = {}, 0 end
    parsed[pattern] = parts
    parsed_count = parsed_count + 1
  end
  return parts
end


-- Items ------------------------------------------------------------------------------------------

local function pad(s, item)
  local missing = item.width - #s
  if missing <= 0 then return s end
  if item.left then return s .. rep(" ", missing) end
  return rep(" ", missing) .. s
end


local function number_for(item, v, n)
  local x = as_number(v, n, "format")
  if item.kind ~= "float" and x % 1 ~= 0 then
    fail("bad argument #" .. n .. " to 'format' (" .. text(x) .. " is no whole number, as %" .. item.letter
      .. " needs; use math.floor, or %g)")
  end
  return x
end


local format_item = {}

function format_item.whole(item, v, n)
  local x = number_for(item, v, n)
  if x >= TWO53 or x <= -TWO53 then return raw_format(item.large, x) end
  return raw_format(item.spec, x)
end

function format_item.unsigned(item, v, n)
  local x = number_for(item, v, n)
  if x < 0 or x > TWO53 then
    fail("bad argument #" .. n .. " to 'format' (%" .. item.letter .. " needs a number from 0 to 2^53, got " .. text(x) .. ")")
  end
  return raw_format(item.spec, x)
end

function format_item.char(item, v, n)
  local x = number_for(item, v, n)
  if x < 0 or x > 255 then fail("bad argument #" .. n .. " to 'format' (value out of range)") end
  return pad(char(x), item)
end

function format_item.float(item, v, n)
  local x = number_for(item, v, n)
  if x - x == 0 then
    if item.letter ~= "f" then return raw_format(item.spec, values.printable(x, item.digits)) end
    -- With %f LuaJIT prints nonsense for numbers below about 1e-150; at 99 places these are zero.
    if x < 1e-100 and x > -1e-100 then x = x * 0 end
    return raw_format(item.spec, x)
  end
  local s = "nan"
  if x > 0 then s = item.plus .. "inf" elseif x < 0 then s = "-inf" end
  if item.letter == "E" or item.letter == "G" then s = upper(s) end
  return pad(s, item)
end

function format_item.string(item, v)
  local s = text(v)
  if item.precision ~= nil then s = sub(s, 1, item.precision) end
  return pad(s, item)
end


local NAMED = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\\n"}

local function escape(c, digit)
  local named = NAMED[c]
  if named ~= nil then return named .. digit end
  return raw_format(digit ~= "" and "\\%03d" or "\\%d", byte(c)) .. digit
end

-- As Lua reads it back. Numbers stand as their text.
function format_item.quoted(_, v, n)
  if type(v) == "number" then return text(v) end
  local s = values.as_string(v, n, "format")
  reserve(#s, "format")
  return '"' .. gsub(s, '([%z\1-\31\127"\\])(%d?)', escape) .. '"'
end


return function(pattern, ...)
  pattern = values.as_string(pattern, 1, "format")
  charge(1 + #pattern / 64)
  local parts = parts_of(pattern)
  local arguments, given = {...}, select("#", ...)
  local out, size, used = {}, 0, 0
  for i = 1, #parts do
    local part = parts[i]
    if type(part) ~= "string" then
      used = used + 1
      if used > given then fail("bad argument #" .. used + 1 .. " to 'format' (no value)") end
      part = format_item[part.kind](part, arguments[used], used + 1)
    end
    out[i] = part
    size = size + #part
    if size > MAX_STRING then reserve(size, "format") end
  end
  charge(size / 64)
  return (concat(out))
end
