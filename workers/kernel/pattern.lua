-- Lua patterns, matched in Lua and paid for in fuel.
--
-- The VMs' own matchers cannot be interrupted (a pattern of forty bytes can run for years), depend on
-- the locale in one VM, and differ in corners. This one gives Lua 5.2's results for ASCII classes.
-- Structure and messages follow lstrlib.c. Matching never calls agent code, so its state is a set of
-- upvalues, good until the next `search`.

local deps = ...
local meter = deps.meter
local fail, charge, Q, out_of_fuel = meter.fail, meter.charge, meter.Q, meter.X
local byte, sub, find = string.byte, string.sub, string.find

local MAX_CAPTURES = 32
local MAX_DEPTH = 200
local STEP = 0.25

local UNFINISHED, POSITION = -1, -2

local CARET, DOLLAR, PERCENT, OPEN, CLOSE = 94, 36, 37, 40, 41
local STAR, PLUS, MINUS, DOT, QUERY = 42, 43, 45, 46, 63
local LEFT, RIGHT, LOWER_B, LOWER_F = 91, 93, 98, 102


-- Classes ----------------------------------------------------------------------------------------

-- CLASS[letter][byte] for the small letters; a capital is the complement.
local CLASS = {}

local function class(letter, holds)
  local row = {}
  for c = 0, 255 do row[c] = holds(c) end
  CLASS[byte(letter)] = row
end

local function is_digit(c) return c >= 48 and c <= 57 end
local function is_lower(c) return c >= 97 and c <= 122 end
local function is_upper(c) return c >= 65 and c <= 90 end
local function is_alpha(c) return is_lower(c) or is_upper(c) end
local function is_alnum(c) return is_alpha(c) or is_digit(c) end
local function is_graph(c) return c >= 33 and c <= 126 end

class("a", is_alpha)
class("c", function(c) return c < 32 or c == 127 end)
class("d", is_digit)
class("g", is_graph)
class("l", is_lower)
class("p", function(c) return is_graph(c) and not is_alnum(c) end)
class("s", function(c) return c == 32 or (c >= 9 and c <= 13) end)
class("u", is_upper)
class("w", is_alnum)
class("x", function(c) return is_digit(c) or (c >= 97 and c <= 102) or (c >= 65 and c <= 70) end)
class("z", function(c) return c == 0 end)


local function in_class(c, letter)
  local row = CLASS[letter]
  if row ~= nil then return row[c] end
  if is_upper(letter) then
    row = CLASS[letter + 32]
    if row ~= nil then return not row[c] end
  end
  return letter == c
end


-- State of the match under way -------------------------------------------------------------------

local S, P, slen, plen = "", "", 0, 0
local level, depth = 0, 0
local starts, lengths = {}, {}


-- The place after the single-character item at p.
local function item_end(p)
  local c = byte(P, p)
  p = p + 1
  if c == PERCENT then
    if p > plen then fail("malformed pattern (ends with '%')") end
    return p + 1
  end
  if c == LEFT then
    if byte(P, p) == CARET then p = p + 1 end
    -- The first character belongs to the set even if it is ']'.
    repeat
      if p > plen then fail("malformed pattern (missing ']')") end
      c = byte(P, p)
      p = p + 1
      if c == PERCENT and p <= plen then p = p + 1 end
    until byte(P, p) == RIGHT
    return p + 1
  end
  return p
end


-- Whether c is in the set at p ('['), which ends at last (']').
local function in_set(c, p, last)
  local found = true
  p = p + 1
  if byte(P, p) == CARET then
    found = false
    p = p + 1
  end
  while p < last do
    local k = byte(P, p)
    if k == PERCENT then
      if in_class(c, byte(P, p + 1)) then return found end
      p = p + 2
    elseif byte(P, p + 1) == MINUS and p + 2 < last then
      if k <= c and c <= byte(P, p + 2) then return found end
      p = p + 3
    else
      if k == c then return found end
      p = p + 1
    end
  end
  return not found
end


local function single(s, p, ep)
  if s > slen then return false end
  local c, k = byte(S, s), byte(P, p)
  if k == DOT then return true end
  if k == PERCENT then return in_class(c, byte(P, p + 1)) end
  if k == LEFT then return in_set(c, p, ep - 1) end
  return k == c
end


local function balance(s, p)
  if p + 1 > plen then fail("malformed pattern (missing arguments to '%b')") end
  local open, close = byte(P, p, p + 1)
  if byte(S, s) ~= open then return nil end
  local count, i = 1, s + 1
  while i <= slen do
    local c = byte(S, i)
    if c == close then
      count = count - 1
      if count == 0 then
        charge((i - s) * STEP)
        return i + 1
      end
    elseif c == open then
      count = count + 1
    end
    i = i + 1
  end
  charge((i - s) * STEP)
  return nil
end


local match


local function max_expand(s, p, ep)
  local i, cost = 0, (ep - p) / 16
  while single(s + i, p, ep) do
    local q = Q.n - cost
    Q.n = q
    if q < 0 then out_of_fuel() end
    i = i + 1
  end
  while i >= 0 do
    local stop = match(s + i, ep + 1)
    if stop ~= nil then return stop end
    i = i - 1
  end
  return nil
end


local function min_expand(s, p, ep)
  while true do
    local stop = match(s, ep + 1)
    if stop ~= nil then return stop end
    charge((ep - p) / 16)
    if not single(s, p, ep) then return nil end
    s = s + 1
  end
end


local function start_capture(s, p, what)
  if level >= MAX_CAPTURES then fail("too many captures") end
  level = level + 1
  starts[level], lengths[level] = s, what
  local stop = match(s, p)
  if stop == nil then level = level - 1 end
  return stop
end


local function end_capture(s, p)
  local open = level
  while open > 0 and lengths[open] ~= UNFINISHED do open = open - 1 end
  if open == 0 then fail("invalid pattern capture") end
  lengths[open] = s - starts[open]
  local stop = match(s, p)
  if stop == nil then lengths[open] = UNFINISHED end
  return stop
end


local function back_reference(s, digit)
  local n = digit - 48
  if n < 1 or n > level or lengths[n] == UNFINISHED then fail("invalid capture index %" .. n) end
  -- A position capture has no text; lstrlib compares with its mark of -2 and never matches.
  if lengths[n] == POSITION then return nil end
  local size = lengths[n]
  charge(size / 64)
  if slen - s + 1 < size then return nil end
  if sub(S, starts[n], starts[n] + size - 1) ~= sub(S, s, s + size - 1) then return nil end
  return s + size
end


local function frontier(s, p)
  if byte(P, p) ~= LEFT then fail("missing '[' after '%f' in pattern") end
  local ep = item_end(p)
  local previous = s == 1 and 0 or byte(S, s - 1)
  local current = s > slen and 0 or byte(S, s)
  if in_set(previous, p, ep - 1) or not in_set(current, p, ep - 1) then return nil end
  return ep
end


local function match_items(s, p)
  while p <= plen do
    local c = byte(P, p)
    if c == OPEN then
      if byte(P, p + 1) == CLOSE then return start_capture(s, p + 2, POSITION) end
      return start_capture(s, p + 1, UNFINISHED)
    end
    if c == CLOSE then return end_capture(s, p + 1) end
    if c == DOLLAR and p == plen then
      if s == slen + 1 then return s end
      return nil
    end
    local k = c == PERCENT and byte(P, p + 1) or 0
    if k == LOWER_B then
      s = balance(s, p + 2)
      if s == nil then return nil end
      p = p + 4
    elseif k == LOWER_F then
      p = frontier(s, p + 2)
      if p == nil then return nil end
    elseif is_digit(k) then
      s = back_reference(s, k)
      if s == nil then return nil end
      p = p + 2
    else
      local ep = item_end(p)
      local q = Q.n - (ep - p) * STEP
      Q.n = q
      if q < 0 then out_of_fuel() end
      local mark = byte(P, ep)
      if mark == QUERY then
        if single(s, p, ep) then
          local stop = match(s + 1, ep + 1)
          if stop ~= nil then return stop end
        end
        p = ep + 1
      elseif mark == PLUS then
        if not single(s, p, ep) then return nil end
        return max_expand(s + 1, p, ep)
      elseif mark == STAR then
        return max_expand(s, p, ep)
      elseif mark == MINUS then
        return min_expand(s, p, ep)
      else
        if not single(s, p, ep) then return nil end
        s = s + 1
        p = ep
      end
    end
  end
  return s
end


-- The place after the match of the pattern from p on at s, or nil. The depth is bounded by the
-- number of items; the limit makes an overlong pattern an error instead of a stack overflow.
function match(s, p)
  depth = depth + 1
  if depth > MAX_DEPTH then fail("pattern too complex") end
  local q = Q.n - STEP
  Q.n = q
  if q < 0 then out_of_fuel() end
  local stop = match_items(s, p)
  depth = depth - 1
  return stop
end


-- Searching --------------------------------------------------------------------------------------

local M = {}

-- Every match begins with this byte; nil if the pattern's first item does not say so.
local function first_literal(pattern)
  if find(pattern, "^[^%^%$%*%+%?%.%(%)%[%]%%%-]") and not find(pattern, "^.[%*%?%-]") then
    return sub(pattern, 1, 1)
  end
  return nil
end


-- The first match of `pattern` in `subject` at or after `from`: its first byte and the place after
-- its last, or nil. With `anchored`, the pattern's text starts at `at` and must match at `from`.
function M.search(subject, pattern, from, at, anchored)
  S, P, slen, plen = subject, pattern, #subject, #pattern
  if anchored then
    level, depth = 0, 0
    local stop = match(from, at)
    if stop ~= nil then return from, stop end
    return nil
  end
  local literal = at == 1 and first_literal(pattern) or nil
  local s = from
  while s <= slen + 1 do
    if literal ~= nil then
      local place = find(S, literal, s, true)
      charge(((place or slen) - s) / 64 + STEP)
      if place == nil then return nil end
      s = place
    end
    level, depth = 0, 0
    local stop = match(s, at)
    if stop ~= nil then return s, stop end
    s = s + 1
  end
  return nil
end


-- The n-th capture of the last match, which began at s and ended before e; the first stands for the
-- whole match in a pattern without captures.
function M.capture(n, s, e)
  if n > level then
    if n ~= 1 then fail("invalid capture index %" .. n) end
    return sub(S, s, e - 1)
  end
  local size = lengths[n]
  if size == UNFINISHED then fail("unfinished capture") end
  if size == POSITION then return starts[n] end
  charge(size / 64)
  return sub(S, starts[n], starts[n] + size - 1)
end


function M.captures() return level end


function M.whole(s, e)
  charge((e - s) / 64)
  return sub(S, s, e - 1)
end


-- Whether the pattern means just its own text.
function M.is_plain(pattern)
  charge(#pattern / 64)
  return not find(pattern, "[%^%$%*%+%?%.%(%[%%%-]")
end

return M
