-- The network: who is linked to whom. Undirected links stand in the rows of both ends; a directed network
-- has rows of those who link to an id too.
--
-- Ids are checked in N.api alone; callers of the rest give living ids, from 1 up.

local D = ...
local buffer, new_rows = D.buffer, D.rows.new
local i32, f64 = buffer.i32, buffer.f64
local read_u32, malformed = buffer.read_u32, buffer.malformed
local charge = D.sandbox.charge
local text, describe = D.values.text, D.values.describe
local error, type = error, type
local byte = string.byte

local WEIGHTED, PLAIN = "w", "p"

local M = {generate = D.generators.generate}

local function refuse_self(a) error("agent " .. a .. " cannot be linked to itself", 0) end

local function shown(v)
  if type(v) == "number" then return text(v) end
  return describe(v)
end

function M.new(directed)
  local N = {directed = directed}
  local out = new_rows()
  local into = directed and new_rows() or out

  function N.reserve(last_id)
    out.reserve(last_id)
    if directed then into.reserve(last_id) end
  end

  -- Links a to b, with weight w (1 when nil); if they are linked, w replaces the weight.
  function N.add(a, b, w)
    if a == b then refuse_self(a) end
    out.put(a, b, w or 1)
    into.put(b, a, not directed and w or 1)
  end

  -- True if there was a link.
  function N.remove(a, b)
    if not out.cut(a, b) then return false end
    into.cut(b, a)
    return true
  end

  -- Takes away all links of `id`, in both directions.
  function N.drop(id)
    for j = 0, out.count(id) - 1 do into.cut(out.at(id, j), id) end
    out.clear(id)
    if not directed then return end
    for j = 0, into.count(id) - 1 do out.cut(into.at(id, j), id) end
    into.clear(id)
  end

  -- weight(a, b) -> number or nil; degree(id), list(id): the links that leave; lists are fresh, ascending.
  N.weight, N.degree, N.list, N.list_in = out.weight, out.count, out.list, into.list

  function N.edges() return directed and out.entries() or out.entries() / 2 end

  function N.bytes() return out.bytes() + (directed and into.bytes() or 0) end

  -- Replaces all by n links from[1..n] -> to[1..n], with weight[1..n] or nil for all 1: tables or flat arrays.
  -- Of a link named twice the last weight counts. Rows by target, filled in the order given, fill the rows
  -- by source in order of targets; no row is sorted.
  function N.build(from, to, weight, n)
    local last = 0
    for e = 1, n do
      local a, b = from[e], to[e]
      if a == b then refuse_self(a) end
      if a > last then last = a end
      if b > last then last = b end
    end
    local weighted = false
    for e = 1, weight and n or 0 do
      if weight[e] ~= 1 then weighted = true end
    end
    local leaving, coming = i32(last), i32(last)
    for e = 1, n do
      local a, b = from[e], to[e]
      leaving[a] = leaving[a] + 1
      coming[b] = coming[b] + 1
    end
    if not directed then
      for a = 1, last do
        leaving[a] = leaving[a] + coming[a]
        coming[a] = leaving[a]
      end
    end
    local given = new_rows()
    given.lay_out(coming, last, weighted)
    for e = 1, n do
      local a, b, w = from[e], to[e], weighted and weight[e] or 1
      given.append(b, a, w)
      if not directed then given.append(a, b, w) end
    end
    out.lay_out(leaving, last, weighted)
    given.each(function(b, a, w) out.append(a, b, w) end)
    if directed then
      into.lay_out(coming, last, false)
      out.each(function(a, b) into.append(b, a, 1) end)
    end
  end

  -- Bytes ----------------------------------------------------------------------------------------------

  -- Each link once, undirected ones in the row of the lower id: the last id with a row, the number of links,
  -- whether weights follow, the rows' lengths, their ids, the weights.
  function N.write(w)
    local n, weighted = N.edges(), out.weighted()
    local lengths, ids, weights = i32(out.last()), i32(n), weighted and f64(n)
    local last, k = 0, 0
    out.each(function(a, b, x)
      if not directed and a > b then return end
      last = a
      lengths[a] = lengths[a] + 1
      ids[k] = b
      if weighted then weights[k] = x end
      k = k + 1
    end)
    w:u32(last)
    w:u32(n)
    w:raw(weighted and WEIGHTED or PLAIN)
    w:i32s(lengths, 1, last)
    w:i32s(ids, 0, n)
    if weighted then w:f64s(weights, 0, n) end
  end

  -- Replaces all by what N.write gave -> position after it.
  function N.read(bytes, pos)
    local begin, last, n = pos
    last, pos = read_u32(bytes, pos)
    n, pos = read_u32(bytes, pos)
    if (last + n) * 4 > #bytes - pos then malformed(begin, "links that do not fit") end
    local weighted = byte(bytes, pos) == byte(WEIGHTED)
    local lengths, from, to, weights = i32(last), i32(n), i32(n), weighted and f64(n) or nil
    pos = buffer.read_i32s(bytes, pos + 1, lengths, 1, last)
    pos = buffer.read_i32s(bytes, pos, to, 1, n)
    if weighted then pos = buffer.read_f64s(bytes, pos, weights, 1, n) end
    local k = 0
    for a = 1, last do
      if lengths[a] < 0 or k + lengths[a] > n then malformed(begin, "rows of links that do not fit") end
      for j = k + 1, k + lengths[a] do
        from[j] = a
        if to[j] < 1 then malformed(begin, "a link to " .. to[j]) end
      end
      k = k + lengths[a]
    end
    if k < n then malformed(begin, "links without a row") end
    N.build(from, to, weights, n)
    return pos
  end

  -- What scripts call ----------------------------------------------------------------------------------

  -- world: crumb (the agent whose turn it is, 0 for none), roster (last_id, where).
  function N.api(world)
    local crumb = world.crumb
    local api = {}

    local function agent(id, call)
      local roster = world.roster
      if type(id) ~= "number" or not (id >= 1 and id <= roster.last_id) or id % 1 ~= 0 then
        error(call .. ": ids are whole numbers from 1 to " .. roster.last_id .. " so far, not " .. shown(id), 0)
      end
      if roster.where[id] == 0 then error(call .. ": agent " .. id .. " is dead, and has no links", 0) end
      return id
    end

    local function me_or(id, call)
      if id ~= nil then return agent(id, call) end
      if crumb[0] == 0 then error(call .. ": the environment is no agent and has no links; give an id", 0) end
      return crumb[0]
    end

    function api.links(id)
      id = me_or(id, "links(id)")
      charge(N.degree(id) / 8)
      return N.list(id)
    end

    if directed then
      function api.links_in(id)
        id = me_or(id, "links_in(id)")
        charge(into.count(id) / 8)
        return N.list_in(id)
      end
    end

    -- link(other): from the caller; link(a, b).
    function api.link(a, b)
      if b == nil then return N.weight(me_or(nil, "link(other)"), agent(a, "link(other)")) end
      return N.weight(agent(a, "link(a, b)"), agent(b, "link(a, b)"))
    end

    function api.degree(id) return N.degree(me_or(id, "degree(id)")) end

    return api
  end

  return N
end

return M
