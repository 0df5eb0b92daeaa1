-- A fisher: catches, moves to where there is more, and does as those do who fare better.
--
-- self.greedy   takes what it can; else it takes the quota
-- self.income   fish a tick, less fines, smoothed over about ten ticks
-- self.caught   fish caught in this tick
-- self.fined    fines paid since the start

local MEMORY = 0.9

function on.fine(self, msg)
  self.fined = self.fined + 1
  self.income = self.income - (1 - MEMORY) * msg.fish
end

-- One fisher a cell, so that what lies here is for this one alone.
local function catch(self, x, y)
  local wanted = self.greedy and param.appetite * env.yield() / param.fishers or env.quota
  self.caught = math.min(wanted, layer.fish(x, y))
  layer.fish:add(x, y, -self.caught)
  send("environment", "landing", {fish = self.caught})
  self.income = MEMORY * self.income + (1 - MEMORY) * self.caught
end

-- To the best free cell of the eight around, if it is better than this one.
local function follow_the_fish(x, y)
  local best, dx, dy = layer.fish(x, y), 0, 0
  for v = -1, 1 do
    for u = -1, 1 do
      local there = layer.fish(x + u, y + v)
      if there > best and not at(x + u, y + v) then
        best, dx, dy = there, u, v
      end
    end
  end
  if dx ~= 0 or dy ~= 0 then
    move_by(dx, dy)
  end
end

local function learn(self)
  if random() < param.imitation then
    local other = choice(agents("fisher"))
    if look(other, "income") > self.income then
      self.greedy = look(other, "greedy")
    end
  end
  if random() < param.whim then
    self.greedy = not self.greedy
  end
end

function step(self)
  local x, y = position()
  catch(self, x, y)
  follow_the_fish(x, y)
  learn(self)
end
