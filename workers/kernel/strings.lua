-- The string library of agents: every function charges for its work, bounds what it makes, and gives
-- the same on every VM. Numbers count as strings, as in Lua; sizes are in bytes, letters are ASCII.

local deps = ...
local meter, values, pattern = deps.meter, deps.values, deps.pattern
local fail, charge = meter.fail, meter.charge
local as_string, as_whole, reserve, text = values.as_string, values.as_whole, values.reserve, values.text
local MAX_STRING, MAX_VALUES = values.MAX_STRING, values.MAX_VALUES
local type, select = type, select
local raw_sub, raw_byte, raw_char, raw_find = string.sub, string.byte, string.char, string.find
local raw_rep, raw_reverse, raw_lower, raw_upper = string.rep, string.reverse, string.lower, string.upper
local raw_gsub, concat = string.gsub, table.concat
local search, capture, captures = pattern.search, pattern.capture, pattern.captures

-- The work of a plain search, in bytes compared, up to which the VM's own is used.
local MAX_PLAIN = 262144

local M = {format = deps.format}


-- Parts and copies -------------------------------------------------------------------------------

function M.len(s)
  return #as_string(s, 1, "len")
end


function M.sub(s, i, j)
  if type(s) ~= "string" then s = as_string(s, 1, "sub") end
  local r = raw_sub(s, as_whole(i, 2, "sub"), as_whole(j, 3, "sub", -1))
  charge(#r / 64)
  return r
end


-- A range i..j over n bytes with negative places resolved.
local function range(i, j, n)
  if i < 0 then i = n + i + 1 end
  if j < 0 then j = n + j + 1 end
  if i < 1 then i = 1 end
  if j > n then j = n end
  return i, j
end


function M.byte(s, i, j)
  if type(s) ~= "string" then s = as_string(s, 1, "byte") end
  i = as_whole(i, 2, "byte", 1)
  if j == nil then return raw_byte(s, i) end
  i, j = range(i, as_whole(j, 3, "byte"), #s)
  if j - i >= MAX_VALUES then
    fail("string.byte gives at most " .. MAX_VALUES .. " values at once, not " .. text(j - i + 1))
  end
  if j < i then return end
  return raw_byte(s, i, j)
end


function M.char(...)
  local n, codes = select("#", ...), {...}
  charge(n / 16)
  for i = 1, n do
    local c = as_whole(codes[i], i, "char")
    if c < 0 or c > 255 then fail("bad argument #" .. i .. " to 'char' (value out of range)") end
  end
  return (raw_char(...))
end


function M.rep(s, n, separator)
  s = as_string(s, 1, "rep")
  n = as_whole(n, 2, "rep")
  separator = separator == nil and "" or as_string(separator, 3, "rep")
  if n < 1 then return "" end
  local size = n * #s + (n - 1) * #separator
  if size == 0 then return "" end
  reserve(size, "rep")
  if separator == "" then return (raw_rep(s, n)) end
  return raw_rep(s .. separator, n - 1) .. s
end


function M.reverse(s)
  s = as_string(s, 1, "reverse")
  charge(#s / 64)
  return (raw_reverse(s))
end


-- Only ASCII letters have case: the VM's own asks the locale, in one VM.
local function mapped(map, s)
  if raw_find(s, "[\128-\255]") then
    local made = raw_gsub(s, "[%z\1-\127]+", map)
    return made
  end
  return (map(s))
end


function M.lower(s)
  s = as_string(s, 1, "lower")
  charge(#s / 64)
  return mapped(raw_lower, s)
end


function M.upper(s)
  s = as_string(s, 1, "upper")
  charge(#s / 64)
  return mapped(raw_upper, s)
end


-- Searching --------------------------------------------------------------------------------------

-- Knuth, Morris and Pratt: the VM's own takes a time that grows with the product of the lengths.
local function find_long(s, p, from)
  local m = #p
  charge((#s + m) / 2)
  local fall = {[0] = -1, 0}
  local k = 0
  for i = 2, m do
    local c = raw_byte(p, i)
    while k >= 0 and raw_byte(p, k + 1) ~= c do k = fall[k] end
    k = k + 1
    fall[i] = k
  end
  k = 0
  for i = from, #s do
    local c = raw_byte(s, i)
    while k >= 0 and raw_byte(p, k + 1) ~= c do k = fall[k] end
    k = k + 1
    if k == m then return i - m + 1, i end
  end
  return nil
end


local function find_plain(s, p, from)
  local room = #s - from + 1
  if #p > room then return nil end
  charge(1 + room / 64)
  if (room - #p) * #p <= MAX_PLAIN then
    local first, last = raw_find(s, p, from, true)
    return first, last
  end
  local first, last = find_long(s, p, from)
  return first, last
end


-- All captures of a match from first to before stop; the whole match if the pattern has none.
local function capture_list(i, n, first, stop)
  if i >= n then return capture(i, first, stop) end
  return capture(i, first, stop), capture_list(i + 1, n, first, stop)
end


-- The place where a search begins; nil beyond the end.
local function start_place(init, size)
  if init < 0 then
    init = size + init + 1
    return init < 1 and 1 or init
  end
  if init == 0 then return 1 end
  if init > size + 1 then return nil end
  return init
end


function M.find(s, p, init, plain)
  s, p = as_string(s, 1, "find"), as_string(p, 2, "find")
  local from = start_place(as_whole(init, 3, "find", 1), #s)
  if from == nil then return nil end
  if plain or pattern.is_plain(p) then
    local first, last = find_plain(s, p, from)
    return first, last
  end
  local anchored = raw_byte(p, 1) == 94
  local first, stop = search(s, p, from, anchored and 2 or 1, anchored)
  if first == nil then return nil end
  local n = captures()
  if n == 0 then return first, stop - 1 end
  return first, stop - 1, capture_list(1, n, first, stop)
end


function M.match(s, p, init)
  s, p = as_string(s, 1, "match"), as_string(p, 2, "match")
  local from = start_place(as_whole(init, 3, "match", 1), #s)
  if from == nil then return nil end
  local anchored = raw_byte(p, 1) == 94
  local first, stop = search(s, p, from, anchored and 2 or 1, anchored)
  if first == nil then return nil end
  return capture_list(1, captures(), first, stop)
end


-- A '^' is no anchor here, as in Lua 5.1 and 5.2.
function M.gmatch(s, p)
  s, p = as_string(s, 1, "gmatch"), as_string(p, 2, "gmatch")
  local from = 1
  return function()
    if from > #s + 1 then return nil end
    local first, stop = search(s, p, from, 1, false)
    if first == nil then
      from = #s + 2
      return nil
    end
    from = stop == first and stop + 1 or stop
    return capture_list(1, captures(), first, stop)
  end
end


-- Replacing --------------------------------------------------------------------------------------

-- The replacement text for the match from first to before stop; `%1` and so on are captures.
local function expand(template, first, stop)
  local out, n, at = {}, 0, 1
  while true do
    local place = raw_find(template, "%", at, true)
    if place == nil then break end
    local c = raw_byte(template, place + 1)
    n = n + 2
    out[n - 1] = raw_sub(template, at, place - 1)
    if c == 37 then
      out[n] = "%"
    elseif c == 48 then
      out[n] = pattern.whole(first, stop)
    elseif c ~= nil and c >= 49 and c <= 57 then
      out[n] = text(capture(c - 48, first, stop))
    else
      fail("invalid use of '%' in replacement string")
    end
    at = place + 2
  end
  out[n + 1] = raw_sub(template, at)
  return concat(out)
end


local REPLACEMENTS = {string = true, number = true, table = true, ["function"] = true}

function M.gsub(s, p, replacement, most)
  s, p = as_string(s, 1, "gsub"), as_string(p, 2, "gsub")
  local kind = type(replacement)
  if not REPLACEMENTS[kind] then
    fail("bad argument #3 to 'gsub' (string/function/table expected, got " .. kind .. ")")
  end
  if kind == "number" then replacement, kind = text(replacement), "string" end
  most = as_whole(most, 4, "gsub", #s + 1)
  local literal = kind == "string" and raw_find(replacement, "%", 1, true) == nil
  local anchored = raw_byte(p, 1) == 94
  local at = anchored and 2 or 1
  local out, n, size = {}, 0, 0
  local copied, from, count = 1, 1, 0
  while count < most do
    local first, stop = search(s, p, from, at, anchored)
    if first == nil then break end
    count = count + 1
    local value
    if literal then
      value = replacement
    elseif kind == "string" then
      value = expand(replacement, first, stop)
    elseif kind == "table" then
      value = replacement[capture(1, first, stop)]
    else
      value = replacement(capture_list(1, captures(), first, stop))
    end
    if not value then
      value = raw_sub(s, first, stop - 1)
    elseif type(value) == "number" then
      value = text(value)
    elseif type(value) ~= "string" then
      fail("invalid replacement value (a " .. type(value) .. ")")
    end
    out[n + 1] = raw_sub(s, copied, first - 1)
    out[n + 2] = value
    n = n + 2
    size = size + (first - copied) + #value
    if size > MAX_STRING then reserve(size, "gsub") end
    charge(1 + #value / 64)
    copied = stop
    from = stop == first and stop + 1 or stop
    if anchored or from > #s + 1 then break end
  end
  out[n + 1] = raw_sub(s, copied)
  reserve(size + #s - copied + 1, "gsub")
  return concat(out), count
end

return M
