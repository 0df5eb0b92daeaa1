-- Walking tables in an order that content alone decides, and sorting.
--
-- Keys go booleans (false first), numbers, strings by bytes: the order of the codec and the digest. The VM's
-- own order changes from process to process. A table or function as key is refused: its only order
-- is its address.

local deps = ...
local meter, values = deps.meter, deps.values
local fail, charge = meter.fail, meter.charge
local length, describe, as_table = values.length, values.describe, values.as_table
local next, type, getmetatable, rawget = next, type, getmetatable, rawget
local raw_ipairs = ipairs

local M = {}


-- Sorting ----------------------------------------------------------------------------------------

-- Below this many, insertion sort beats merging (and is stable as well).
local SMALL = 8

-- Sorts a[from..to] of mutually comparable numbers or strings; b is scratch.
local function sort_plain(a, b, from, to)
  if to - from < SMALL then
    for i = from + 1, to do
      local x = a[i]
      local j = i - 1
      while j >= from and x < a[j] do
        a[j + 1] = a[j]
        j = j - 1
      end
      a[j + 1] = x
    end
    return
  end
  local middle = from + (to - from - (to - from) % 2) / 2
  sort_plain(a, b, from, middle)
  sort_plain(a, b, middle + 1, to)
  if not (a[middle + 1] < a[middle]) then return end
  for i = from, middle do b[i] = a[i] end
  local i, j, k = from, middle + 1, from
  while i <= middle and j <= to do
    if a[j] < b[i] then a[k] = a[j] j = j + 1 else a[k] = b[i] i = i + 1 end
    k = k + 1
  end
  while i <= middle do
    a[k] = b[i]
    i, k = i + 1, k + 1
  end
end


-- The same with an order function. Twice, because a test in the inner loop costs a third.
local function sort_by(a, b, from, to, less)
  if to - from < SMALL then
    for i = from + 1, to do
      local x = a[i]
      local j = i - 1
      while j >= from and less(x, a[j]) do
        a[j + 1] = a[j]
        j = j - 1
      end
      a[j + 1] = x
    end
    return
  end
  local middle = from + (to - from - (to - from) % 2) / 2
  sort_by(a, b, from, middle, less)
  sort_by(a, b, middle + 1, to, less)
  if not less(a[middle + 1], a[middle]) then return end
  for i = from, middle do b[i] = a[i] end
  local i, j, k = from, middle + 1, from
  while i <= middle and j <= to do
    if less(a[j], b[i]) then a[k] = a[j] j = j + 1 else a[k] = b[i] i = i + 1 end
    k = k + 1
  end
  while i <= middle do
    a[k] = b[i]
    i, k = i + 1, k + 1
  end
end


-- Without an order function, elements compare as `<` does; anything but numbers alone or strings
-- alone is compared by this, which blames the agent's line.
local function less_checked(x, y)
  local kind = type(x)
  if kind ~= type(y) then fail("attempt to compare " .. kind .. " with " .. type(y)) end
  if kind == "table" then
    local meta, other = getmetatable(x), getmetatable(y)
    if type(meta) ~= "table" or type(other) ~= "table" or meta.__lt == nil or meta.__lt ~= other.__lt then
      fail("attempt to compare two table values")
    end
  elseif kind ~= "number" and kind ~= "string" then
    fail("attempt to compare two " .. kind .. " values")
  end
  return x < y
end


local function log2_above(n)
  local k, power = 0, 1
  while power < n do k, power = k + 1, power * 2 end
  return k
end


-- Stable, so equal elements keep their order on every VM; an inconsistent order function gives some
-- permutation, always the same one. The elements go back together at the end: an error in `less`
-- leaves the table as it was.
function M.sort(t, less)
  as_table(t, 1, "sort")
  if less ~= nil and type(less) ~= "function" then
    fail("bad argument #2 to 'sort' (function expected, got " .. type(less) .. ")")
  end
  local n = length(t)
  if n < 2 then return end
  charge(n * log2_above(n) / 8)
  local a, b = {}, {}
  local numbers, strings = 0, 0
  for i = 1, n do
    local x = t[i]
    local kind = type(x)
    if kind == "number" then numbers = numbers + 1 elseif kind == "string" then strings = strings + 1 end
    a[i] = x
  end
  if less ~= nil then
    sort_by(a, b, 1, n, less)
  elseif numbers == n or strings == n then
    sort_plain(a, b, 1, n)
  else
    sort_by(a, b, 1, n, less_checked)
  end
  for i = 1, n do t[i] = a[i] end
end


-- Keys -------------------------------------------------------------------------------------------

local function refuse_key(k)
  fail("a table with " .. describe(k) .. " as key cannot be walked: it has no order that is the same in every run;"
    .. " use a number or a string, such as an id, as key")
end


-- Lua's table behind what an agent holds: the content of a read-only table, or the table itself.
-- Second result: the length, for a kernel list that has no table of its own.
local function behind(t)
  local meta = getmetatable(t)
  if type(meta) == "table" then
    if meta.__of ~= nil then return meta.__of, nil end
    if meta.__count ~= nil then return t, meta.__count end
  end
  return t, nil
end
M.behind = behind


-- Whether the n keys of t are exactly 1..n. The VM's own order answers at once for most rows; the
-- answer may not depend on it, because fuel does on the answer.
local function is_row(t, n, in_order)
  if in_order == n then return true end
  if rawget(t, 1) == nil or rawget(t, n) == nil then return false end
  for i = 2, n - 1 do
    if rawget(t, i) == nil then return false end
  end
  return true
end


-- A walk's state is a table, because the JIT does not compile the making of closures: `at` places of `n`
-- are done; [1..n] are the keys, none for a row 1..n; `of` is the table walked, as the agent holds it.
-- An agent that gets hold of it and changes it finds nothing in it that it could not reach before.
local function new_walk(t, content)
  local n, in_order = 0, 0
  for k in next, content do
    n = n + 1
    if k == n then in_order = in_order + 1 end
  end
  if is_row(content, n, in_order) then
    charge(n / 16)
    return {of = t, n = n, at = 0}, true
  end
  charge(n * (1 + log2_above(n)) / 8)
  local numbers, strings, first, last = {}, {}, 0, 0
  local has_false, has_true = false, false
  for k in next, content do
    local kind = type(k)
    if kind == "string" then
      last = last + 1
      strings[last] = k
    elseif kind == "number" then
      first = first + 1
      numbers[first] = k
    elseif k == true then
      has_true = true
    elseif k == false then
      has_false = true
    else
      refuse_key(k)
    end
  end
  local scratch = n > SMALL and {} or numbers
  sort_plain(strings, scratch, 1, last)
  if last < n then
    sort_plain(numbers, scratch, 1, first)
    for i = last, 1, -1 do strings[i + n - last] = strings[i] end
    local j = 0
    if has_false then j = j + 1 strings[j] = false end
    if has_true then j = j + 1 strings[j] = true end
    for i = 1, first do strings[j + i] = numbers[i] end
  end
  strings.of, strings.n, strings.at = t, n, 0
  return strings, false
end


local function list_item(list, i)
  i = i + 1
  local v = list[i]
  if v ~= nil then return i, v end
  return nil
end


-- Fields that the loop has set to nil are passed over; new ones are not visited.
local function next_in_row(walk, i)
  local t, n = walk.of, walk.n
  i = i or 0
  while i < n do
    i = i + 1
    local v = rawget(t, i)
    if v ~= nil then return i, v end
    charge(0.0625)
  end
  return nil
end


local function next_sorted(walk)
  local t, i, n = walk.of, walk.at, walk.n
  while i < n do
    i = i + 1
    local k = walk[i]
    local v = rawget(t, k)
    if v ~= nil then
      walk.at = i
      return k, v
    end
    charge(0.0625)
  end
  walk.at = i
  return nil
end


-- For a read-only table, whose content may not get into the agent's hands.
local function next_viewed(walk)
  local i = walk.at + 1
  local k = walk.row and i or walk[i]
  if i > walk.n then return nil end
  walk.at = i
  return k, walk.of[k]
end


function M.pairs(t)
  if type(t) ~= "table" then as_table(t, 1, "pairs") end
  local meta = getmetatable(t)
  if type(meta) == "table" then
    if meta.__count ~= nil then return list_item, t, 0 end
    if meta.__of ~= nil then
      local walk, row = new_walk(t, meta.__of)
      walk.row = row
      return next_viewed, walk, nil
    end
  end
  local walk, row = new_walk(t, t)
  if row then return next_in_row, walk, nil end
  return next_sorted, walk, nil
end


-- Rows alone, as in Lua 5.1; the VM's own iterator where it can be used, because the JIT knows it.
function M.ipairs(t)
  if type(t) ~= "table" then as_table(t, 1, "ipairs") end
  local meta = getmetatable(t)
  if type(meta) == "table" and (meta.__of ~= nil or meta.__count ~= nil) then return list_item, t, 0 end
  local f, s, i = raw_ipairs(t)
  return f, s, i
end


-- next ---------------------------------------------------------------------------------------------

local function rank(k)
  local kind = type(k)
  if kind == "number" then return 2 end
  if kind == "string" then return 3 end
  if kind ~= "boolean" then refuse_key(k) end
  return k and 1 or 0
end


local function before(a, rank_a, b, rank_b)
  if rank_a ~= rank_b then return rank_a < rank_b end
  return rank_a >= 2 and a < b
end


-- The least key after `key` in the order of pairs: one pass over the table, so a loop that walks
-- with `next` is quadratic, and charged so; `pairs` sorts once.
function M.next(t, key)
  as_table(t, 1, "next")
  local content, count = behind(t)
  if count ~= nil then
    local k, v = list_item(t, key or 0)
    return k, v
  end
  local rank_key = -1
  if key ~= nil then rank_key = rank(key) end
  local best, rank_best, n = nil, 9, 0
  for k in next, content do
    n = n + 1
    local r = rank(k)
    if (rank_key < 0 or before(key, rank_key, k, r)) and (rank_best == 9 or before(k, r, best, rank_best)) then
      best, rank_best = k, r
    end
  end
  charge(n / 16)
  if best == nil then return nil end
  return best, t[best]      -- as the agent sees it: what a view shows may be a view
end

return M
