-- One player. Everybody plays with the players of the nine cells around, itself included: two who
-- cooperate get 1 each, who defects against a cooperator gets b, all else pays nothing. So a player
-- gets as many points as there are cooperators among the nine, times b if it defects. Both layers
-- are kept up by whoever changes, so that nobody counts again what has not changed.
--
-- self.cooperates  the strategy
-- self.x, self.y   the place; self.left, right, low, high: the block of nine around it

local function become(self, cooperates)
  self.cooperates = cooperates
  local change = cooperates and 1 or -1
  layer.cooperates:add(self.x, self.y, change)
  for y = self.low, self.high do
    for x = self.left, self.right do
      layer.cooperators:add(x, y, change)
    end
  end
end

function init(self)
  local x, y = position()
  self.x, self.y = x, y
  self.left, self.right = math.max(x - 1, 0), math.min(x + 1, space.width - 1)
  self.low, self.high = math.max(y - 1, 0), math.min(y + 1, space.height - 1)
  if self.cooperates then become(self, true) end
end

local function points(x, y)
  return layer.cooperators(x, y) * (layer.cooperates(x, y) == 1 and 1 or param.b)
end

function step(self)
  local best, cooperates = points(self.x, self.y), self.cooperates
  for y = self.low, self.high do
    for x = self.left, self.right do
      local found = points(x, y)
      if found > best then                          -- on ties the own strategy is kept
        best, cooperates = found, layer.cooperates(x, y) == 1
      end
    end
  end
  if cooperates ~= self.cooperates then
    become(self, cooperates)
  end
end
