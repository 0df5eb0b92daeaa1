-- In which order agents have their turns, in the sequential regimes. Agents of types without a step have none.

local D = ...
local i32 = D.buffer.i32
local ipairs, floor = ipairs, math.floor

local M = {}

local STREAM = -1                   -- of the engine's draws of the order

-- regime: random | ordered | uniform | by_type. Returns a function that gives the ids of a tick's turns: an array
-- from 1, used again in the next tick, and how many they are.
function M.new(world, regime)
  local R, rng, types = world.roster, world.rng, world.program.types
  local queue, room = nil, -1

  local function put_type(k, n)
    if not world.steps[k] then return n end
    local ids = R.ids
    for slot = R.base[k] + 1, R.base[k] + R.count[k] do
      if R.selves[slot] then
        n = n + 1
        queue[n] = ids[slot]
      end
    end
    return n
  end

  local function shuffle(from, to)
    local uniform, q = rng.uniform, queue
    for i = to, from + 1, -1 do
      local j = from + floor(uniform() * (i - from + 1))
      q[i], q[j] = q[j], q[i]
    end
  end

  return function()
    local total = 0
    for k = 1, #types do total = total + R.count[k] end
    if total > room then room = floor(total * 1.5) + 64; queue = i32(room) end
    rng.arm(STREAM)
    local n = 0
    if regime == "by_type" then
      for _, k in ipairs(world.program.by_type) do
        local first = n + 1
        n = put_type(k, n)
        shuffle(first, n)
      end
      return queue, n
    end
    for k = 1, #types do n = put_type(k, n) end
    if regime == "random" then
      shuffle(1, n)
    elseif regime == "uniform" then
      local living = i32(n + 1)
      for j = 1, n do living[j] = queue[j] end
      for j = 1, n do queue[j] = living[floor(rng.uniform() * n) + 1] end
    end
    return queue, n
  end
end

return M
