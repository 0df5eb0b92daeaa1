-- Networks by construction. Agents are counted from 1 to n here; `ids` says who they are.
--
-- In a directed network `complete` and `random` take each ordered pair; `preferential` points from the newcomer to
-- those before it; `edges` as written; the others link both ways.

local D = ...
local i32, f64 = D.buffer.i32, D.buffer.f64
local text, describe = D.values.text, D.values.describe
local error, floor, log, type = error, math.floor, math.log, type

local MAX_LINKS = 50000000

local M = {}

local function deny(message) error(message, 0) end

local function shown(v)
  if type(v) == "number" then return text(v) end
  return describe(v)
end

-- Pairs of agents, counted by `n`, in arrays that grow.
local function new_links(expected)
  local size = floor(expected) + 16
  local links = {n = 0, from = i32(size), to = i32(size)}

  function links.add(a, b)
    local n = links.n + 1
    if n > size then
      if n > MAX_LINKS then deny("more than " .. MAX_LINKS .. " links are too many") end
      local more = floor(size * 1.5)
      local from, to = i32(more), i32(more)
      for e = 1, size do from[e], to[e] = links.from[e], links.to[e] end
      links.from, links.to, size = from, to, more
    end
    links.n = n
    links.from[n], links.to[n] = a, b
  end

  return links
end

local function whole(numbers, name, least, most, kind)
  local v = numbers[name]
  if type(v) ~= "number" or v % 1 ~= 0 or v < least or v > most then
    local allowed = "a whole number from " .. text(least) .. " to " .. text(most)
    deny(kind .. " needs " .. name .. ", " .. allowed .. ", not " .. shown(v))
  end
  return v
end

local function probability(numbers, kind)
  local p = numbers.p
  if type(p) ~= "number" or not (p >= 0 and p <= 1) then
    deny(kind .. " needs p, a number from 0 to 1, not " .. shown(p))
  end
  return p
end

local function limit(kind, n, links)
  if links > MAX_LINKS then
    local about = " over " .. n .. " agents makes about " .. text(floor(links)) .. " links"
    deny(kind .. about .. "; at most " .. MAX_LINKS .. " are allowed")
  end
end

-- k / 2 neighbours on each side.
local function half_degree(numbers, n, kind)
  local k = whole(numbers, "k", 0, n > 0 and n - 1 or 0, kind)
  if k % 2 ~= 0 then deny(kind .. " needs an even k (k / 2 neighbours on each side), not " .. text(k)) end
  limit(kind, n, n * k)
  return k / 2
end

-- Kinds: f(n, numbers, directed, uniform, torus) -> links; `both` kinds give each link once, and a directed
-- network gets it in both directions.
local kinds, both = {}, {ring = true, watts_strogatz = true, grid = true}

function kinds.empty() return new_links(0) end

function kinds.complete(n, _, directed)
  local total = n * (n - 1) / (directed and 1 or 2)
  limit("complete", n, total)
  local links = new_links(total)
  for a = 1, n do
    for b = directed and 1 or a + 1, n do
      if a ~= b then links.add(a, b) end
    end
  end
  return links
end

function kinds.ring(n, numbers)
  local half = half_degree(numbers, n, "ring")
  local links = new_links(n * half)
  for a = 1, n do
    for step = 1, half do links.add(a, (a + step - 1) % n + 1) end
  end
  return links
end

-- One of those that `a` is not linked to, each equally likely. Where they are few among n, the k-th of them is
-- found by searching a's row, for most draws would be in vain.
local function stranger(present, a, n, uniform)
  local linked = present.count(a)
  local free = n - 1 - linked
  local b
  if free * 4 >= n then
    repeat b = floor(uniform() * n) + 1 until b ~= a and not present.has(a, b)
    return b
  end
  local k = floor(uniform() * free) + 1
  local low, high = 0, linked      -- how many linked ones stand before the k-th free one
  while low < high do
    local at = floor((low + high) / 2)
    b = present.at(a, at)
    if b - 1 - at - (a < b and 1 or 0) < k then low = at + 1 else high = at end
  end
  b = k + low
  return b < a and b or b + 1
end

-- Watts and Strogatz: each clockwise edge of the ring, in order of agent, then distance, gets with probability p a new
-- far end, uniform among all that make neither a self-link nor a double one.
function kinds.watts_strogatz(n, numbers, _, uniform)
  local p = probability(numbers, "watts_strogatz")
  local half = half_degree(numbers, n, "watts_strogatz")
  local links = kinds.ring(n, numbers)
  if p == 0 or half == 0 then return links end
  local to = links.to
  local present = D.rows.new()
  local counts = i32(n)
  for a = 1, n do counts[a] = 2 * half + 4 end
  present.lay_out(counts, n, false)
  for e = 1, links.n do
    present.put(links.from[e], to[e], 1)
    present.put(to[e], links.from[e], 1)
  end
  for e = 1, links.n do
    local a = links.from[e]
    if uniform() < p and present.count(a) < n - 1 then
      local b = stranger(present, a, n, uniform)
      present.cut(a, to[e])
      present.cut(to[e], a)
      present.put(a, b, 1)
      present.put(b, a, 1)
      to[e] = b
    end
  end
  return links
end

-- Barabasi and Albert, from a complete graph of m + 1: each newcomer links to m distinct agents, drawn in
-- proportion to their degree as ends of the links there are.
function kinds.preferential(n, numbers, _, uniform)
  local m = whole(numbers, "m", 1, n > 1 and n - 1 or 1, "preferential")
  if n < 2 then return new_links(0) end
  local total = m * (m + 1) / 2 + (n - m - 1) * m
  limit("preferential", n, total)
  local links = new_links(total)
  local ends, count = i32(2 * total), 0
  local taken = i32(n)
  local function join(a, b)
    links.add(a, b)
    ends[count], ends[count + 1] = a, b
    count = count + 2
  end
  for a = 2, m + 1 do
    for b = 1, a - 1 do join(a, b) end
  end
  for a = m + 2, n do
    local before = count
    for _ = 1, m do
      local b
      repeat b = ends[floor(uniform() * before)] until taken[b] ~= a
      taken[b] = a
      join(a, b)
    end
  end
  return links
end

-- Erdos and Renyi, G(n, p): the pairs stand in a row, and the gaps between links are geometric.
function kinds.random(n, numbers, directed, uniform)
  local p = probability(numbers, "random")
  if p == 0 or n < 2 then return new_links(0) end
  if p == 1 then return kinds.complete(n, numbers, directed) end
  local expected = n * (n - 1) / (directed and 1 or 2) * p
  limit("random", n, expected)
  local links = new_links(expected + 6 * expected ^ 0.5)
  local scale = p < 1e-8 and -p or log(1 - p)
  -- the next pair is place `b` (from 0) of row `a`, which has `row` of them
  local a, b = directed and 1 or 2, -1
  while a <= n do
    b = b + 1 + floor(log(1 - uniform()) / scale)
    local row = directed and n - 1 or a - 1
    while a <= n and b >= row do
      b = b - row
      a = a + 1
      if not directed then row = a - 1 end
    end
    if a <= n then
      local other = b + 1
      if directed and other >= a then other = other + 1 end
      links.add(a, other)
    end
  end
  return links
end

-- Agent i stands at column (i - 1) % width of row floor((i - 1) / width), and is linked to the four beside it.
function kinds.grid(n, numbers, _, _, torus)
  local width = whole(numbers, "width", 1, MAX_LINKS, "grid")
  local height = whole(numbers, "height", 1, MAX_LINKS, "grid")
  if width * height ~= n then
    local size = text(width) .. " x " .. text(height)
    deny("grid of " .. size .. " needs " .. text(width * height) .. " agents, and there are " .. n)
  end
  local links = new_links(2 * n)
  for y = 0, height - 1 do
    for x = 0, width - 1 do
      local a = y * width + x + 1
      local right, below = (x + 1) % width, (y + 1) % height
      if right ~= x and (torus or right > x) then links.add(a, y * width + right + 1) end
      if below ~= y and (torus or below > y) then links.add(a, below * width + x + 1) end
    end
  end
  return links
end

local function from_list(list, n)
  local count = #list / 3
  local links = new_links(count)
  links.weight = f64(count)
  for e = 1, count do
    local a, b, w = list[3 * e - 2], list[3 * e - 1], list[3 * e]
    for _, one in ipairs({a, b}) do
      if one % 1 ~= 0 or one < 1 or one > n then
        deny("link " .. e .. " of the file names agent " .. text(one) .. ": agents are counted from 1 to " .. n)
      end
    end
    if a == b then deny("link " .. e .. " of the file links agent " .. text(a) .. " to itself") end
    links.add(a, b)
    links.weight[e] = w
  end
  return links
end

-- Fills the network N of agents `ids` (a list, ascending). numbers: {k, p, m, width, height} as the kind needs
-- them; edges: from, to, weight of each link in one list; uniform() draws from [0, 1).
function M.generate(N, kind, ids, numbers, torus, edges, uniform)
  local n = #ids
  local links
  if kind == "edges" then
    links = from_list(edges, n)
  elseif kinds[kind] then
    links = kinds[kind](n, numbers, N.directed, uniform, torus)
  else
    deny("there is no kind " .. text(kind))
  end
  local from, to, count = links.from, links.to, links.n
  for e = 1, count do from[e], to[e] = ids[from[e]], ids[to[e]] end
  if N.directed and both[kind] then
    local twice = new_links(2 * count)
    for e = 1, count do
      twice.add(from[e], to[e])
      twice.add(to[e], from[e])
    end
    from, to, count = twice.from, twice.to, twice.n
  end
  N.reserve(n > 0 and ids[n] or 0)
  N.build(from, to, links.weight, count)
end

return M
