-- What scripts may call about a space, and how bad arguments are refused. The space does the work: see grid.lua and
-- continuous.lua.

local D = ...
local concat, sort = table.concat, table.sort
local error, pairs, select, type = error, pairs, select, type
local shown = D.sandbox.lib.tostring

local M = {}

-- No value has this code.
local NOBODYS = 1073741824

local function deny(message) error(message, 0) end

local function text(v)
  local kind = type(v)
  if kind == "string" then return '"' .. D.text.cut(v, 40) .. '"' end
  if kind == "number" or kind == "nil" then return shown(v) end
  return "a " .. kind
end

-- What is wrong with a coordinate; `range` says what is allowed: "coordinates from 0 to below 5".
function M.misfit(name, value, range)
  if type(value) ~= "number" then return name .. " is a number, not " .. text(value) end
  return name .. " is " .. shown(value) .. ", and this space has " .. range
end

-- The functions of every space. world: see main.lua.
function M.api(S, world)
  local crumb, flat = world.crumb, S.dims == 2
  local get, fit, find, count, nearest = S.get, S.fit, S.find, S.count, S.nearest
  local move_to = flat and "move_to(x, y)" or "move_to(x, y, z)"
  local api = {}

  local function off(id)
    if id == 0 then deny("the environment stands nowhere: name a place or an agent") end
    if id == crumb[0] then deny("agent " .. id .. " is not on the space: " .. move_to .. " first") end
    deny("agent " .. id .. " is not on the space; position(" .. id .. ") is nil then")
  end

  local function check_radius(r)
    if type(r) ~= "number" or not (r >= 0) then deny("r is a radius, 0 or more, not " .. text(r)) end
  end

  local function type_of_name(name)
    local t = world.type_index[name]
    if t then return t end
    local names = {}
    for each in pairs(world.type_index) do names[#names + 1] = each end
    sort(names)
    deny("there is no agent type " .. text(name) .. "; types: " .. concat(names, ", "))
  end

  local function check_id(id)
    local last = world.roster.last_id
    if type(id) ~= "number" or not (id >= 1 and id <= last) or id % 1 ~= 0 then
      deny("no agent has the id " .. text(id) .. ": ids are whole numbers from 1 to " .. last .. " so far")
    end
    S.reserve(last)
  end

  -- position(nil) is refused: whoever looked for somebody and found nobody would take his own place for his.
  function api.position(...)
    local id = ...
    if id ~= nil then
      check_id(id)
    else
      if select("#", ...) > 0 then deny("position(id): id is nil; nearest and at find nobody sometimes, position() is one's own place") end
      id = crumb[0]
      if id == 0 then off(0) end
    end
    return get(id)
  end

  -- The caller's place and that of agent `id`.
  local function both(id)
    local me = crumb[0]
    check_id(id)
    local x, y, z = get(me)
    if x == nil then off(me) end
    local x2, y2, z2 = get(id)
    if x2 == nil then off(id) end
    return x, y, z, x2, y2, z2
  end

  function api.distance(id) return (S.distance(both(id))) end

  function api.offset(id) return S.offset(both(id)) end

  -- Of a search around the caller: who and where that is, and the type that is looked for; 0 is any.
  local function around_me(r, name)
    local me, t = crumb[0], 0
    check_radius(r)
    if name ~= nil then t = type_of_name(name) end
    local x, y, z = get(me)
    if x == nil then off(me) end
    return me, t, x, y, z
  end

  function api.neighbors(r, name)
    local me, t, x, y, z = around_me(r, name)
    return find(x, y, z, r, me, t)
  end

  -- Codes serve where the field has them; the same are found, at the same cost in fuel.
  local function count_alike(x, y, z, r, me, t, field, value)
    local values = world.published[field]
    if not values then
      deny("nobody publishes " .. text(field) .. ": list it in model.toml, [agents.TYPE] publish = [...]")
    end
    if value == nil then deny("count_near(r, type, field, value): value is missing (nil)") end
    local codes, code = world.shown.search(field, value)
    if not codes then return S.count_compared(x, y, z, r, me, t, values, value) end
    if code == 0 then code = NOBODYS end
    return S.count_coded(x, y, z, r, me, t, codes, code)
  end

  function api.count_near(r, name, field, value)
    local me, t, x, y, z = around_me(r, name)
    if field ~= nil then return (count_alike(x, y, z, r, me, t, field, value)) end
    return count(x, y, z, r, me, t)
  end

  function api.nearest(name, r)
    local me, t, x, y, z = around_me(r, name)
    return nearest(x, y, z, r, me, t)
  end

  if flat then
    function api.neighbors_of(x, y, r, name)
      local t = 0
      x, y = fit(x, y)
      if x == nil then deny(y) end
      check_radius(r)
      if name ~= nil then t = type_of_name(name) end
      return find(x, y, nil, r, 0, t)
    end
  else
    function api.neighbors_of(x, y, z, r, name)
      local t = 0
      x, y, z = fit(x, y, z)
      if x == nil then deny(y) end
      check_radius(r)
      if name ~= nil then t = type_of_name(name) end
      return find(x, y, z, r, 0, t)
    end
  end

  if S.at then
    function api.at(x, y, name)
      local t = 0
      x, y = fit(x, y)
      if x == nil then deny(y) end
      if name ~= nil then t = type_of_name(name) end
      return S.at(x, y, t)
    end

    function api.count_at(x, y, name)
      local t = 0
      x, y = fit(x, y)
      if x == nil then deny(y) end
      if name ~= nil then t = type_of_name(name) end
      return S.count_at(x, y, t)
    end

    function api.empty_cells(k)
      local n = S.empty_count()
      if k == nil then return n end
      if type(k) ~= "number" or not (k >= 1 and k <= n) or k % 1 ~= 0 then
        deny("empty_cells(k): k is a whole number from 1 to the number of empty cells, now " .. n
          .. ", not " .. text(k))
      end
      return S.kth_empty(k)
    end

    function api.random_empty()
      local n = S.empty_count()
      if n == 0 then return nil end
      return S.kth_empty(world.rng.random(n))
    end
  end

  api.space = D.sandbox.readonly({ width = S.width, height = S.height, depth = S.depth }, "space",
    "its size is set in model.toml")
  return api
end

return M
