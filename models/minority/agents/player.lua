-- self.strategies[k][h + 1]  the side, 1 or -1, that strategy k takes after history h
-- self.points[k]             how often it would have won

function init(self)
  self.strategies, self.points = {}, {}
  for k = 1, param.strategies do
    local sides = {}
    for h = 1, 2 ^ param.memory do
      sides[h] = 2 * random(0, 1) - 1
    end
    self.strategies[k], self.points[k] = sides, 0
  end
end

-- The strategy with most points; among equals each is as likely.
local function best(points)
  local found, equals = 1, 1
  for k = 2, #points do
    if points[k] > points[found] then
      found, equals = k, 1
    elseif points[k] == points[found] then
      equals = equals + 1
      if random(equals) == 1 then found = k end
    end
  end
  return found
end

function step(self)
  if env.winner then                               -- nothing has been played before tick 1
    for k, sides in ipairs(self.strategies) do
      if sides[env.before + 1] == env.winner then
        self.points[k] = self.points[k] + 1
      end
    end
  end
  local sides = self.strategies[best(self.points)]
  send("environment", "choose", {side = sides[env.history + 1]})
end
