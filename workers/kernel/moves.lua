-- What agents do in the space and the network. Synchronous models ask for it, and it is done when the tick
-- closes; in sequential regimes it is done at once, and move_to and move_by say whether it was.

local type, error = type, error

local M = {}

-- Returns the functions that scripts see, for the features that the model has.
function M.new(world)
  local api = {}
  local crumb, changes, W = world.crumb, world.changes, world.replica
  local S, N = W.space, W.network
  local at_once = world.sequential ~= nil

  local function deny(message) error(message, 0) end

  if S then
    local fit, get, put = S.fit, S.get, S.put
    local single = S.single
    local add_move, going = changes.add_move, changes.going

    local function go(id, x, y, z)
      if single then
        local ox, oy = get(id)
        if ox == x and oy == y then return true end
        if not S.empty_at(x, y) then return false end
      end
      put(id, x, y, z)
      return true
    end

    local function target(x, y, z)
      local fx, fy, fz = fit(x, y, z)
      if fx == nil then deny(fy) end
      return fx, fy, fz
    end

    local function start(id, dx, dy, dz, name)
      if type(dx) ~= "number" or type(dy) ~= "number" or (S.dims == 3 and type(dz) ~= "number") then
        deny(name .. " takes " .. S.dims .. " numbers: how far along each axis")
      end
      local x, y, z = get(id)
      if x == nil then deny("agent " .. id .. " is not on the space: move_to(x, y) puts it there first") end
      return x, y, z
    end

    if at_once then
      function api.move_to(x, y, z)
        local fx, fy, fz = fit(x, y, z)
        if fx == nil then deny(fy) end
        return go(crumb[0], fx, fy, fz)
      end

      function api.move_by(dx, dy, dz)
        local id = crumb[0]
        local x, y, z = start(id, dx, dy, dz, "move_by")
        if z ~= nil then z = z + dz end
        local fx, fy, fz = target(x + dx, y + dy, z)
        return go(id, fx, fy, fz)
      end
    else
      function api.move_to(x, y, z)
        local fx, fy, fz = fit(x, y, z)
        if fx == nil then deny(fy) end
        add_move(crumb[0], fx, fy, fz)
      end

      function api.move_by(dx, dy, dz)
        local id = crumb[0]
        local x, y, z = going(id)
        if x == nil then x, y, z = start(id, dx, dy, dz, "move_by") end
        if S.dims == 3 then z = z + dz else z = nil end
        local fx, fy, fz = target(x + dx, y + dy, z)
        add_move(id, fx, fy, fz)
      end
    end
  end

  if N then
    local R = world.roster

    local function other_end(name, other)
      if type(other) ~= "number" or not (other >= 1 and other <= R.last_id) or other % 1 ~= 0 then
        deny(name .. ": no agent has the id " .. world.inner.shown(other) .. "; ids are whole numbers from 1 to " .. R.last_id .. " so far")
      end
      if R.where[other] == 0 then deny(name .. ": agent " .. other .. " is gone; alive(id) tells before") end
      if other == crumb[0] then deny(name .. ": an agent has no link to itself") end
    end

    function api.link_to(other, weight)
      other_end("link_to", other)
      if weight == nil then weight = 1 end
      if type(weight) ~= "number" or weight ~= weight then deny("link_to(id, weight): weight is a number, not " .. world.inner.shown(weight)) end
      if at_once then N.add(crumb[0], other, weight) else changes.add_link(crumb[0], other, 1, weight) end
    end

    function api.unlink(other)
      other_end("unlink", other)
      if at_once then N.remove(crumb[0], other) else changes.add_link(crumb[0], other, 2, 1) end
    end
  end

  return api
end

return M
