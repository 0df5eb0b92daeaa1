-- A node measures the network as it sees it, once.
--
-- self.degree       its links
-- self.clustering   how many of the pairs among those it is linked to are linked themselves, 0 to 1
-- self.reached      nodes that a path leads to
-- self.steps        sum of the lengths of the shortest paths to them; farthest is the longest

-- Breadth first: `border` holds the nodes at distance `steps`, `seen` all nodes met so far.
local function walk(self)
  local seen, border, steps = {[self.id] = true}, {self.id}, 0
  while #border > 0 do
    local beyond = {}
    local n = 0
    for _, node in ipairs(border) do
      for _, other in ipairs(links(node)) do
        if not seen[other] then
          seen[other] = true
          n = n + 1
          beyond[n] = other
        end
      end
    end
    steps = steps + 1
    self.reached = self.reached + n
    self.steps = self.steps + n * steps
    if n > 0 then
      self.farthest = steps
    end
    border = beyond
  end
end

local function clustering(mine)
  local near, both = {}, 0
  for _, other in ipairs(mine) do
    near[other] = true
  end
  for _, other in ipairs(mine) do
    for _, third in ipairs(links(other)) do
      if near[third] then
        both = both + 1                    -- from either end: each linked pair counts twice
      end
    end
  end
  local pairs_twice = #mine * (#mine - 1)
  return pairs_twice > 0 and both / pairs_twice or 0
end

function step(self)
  local mine = links()
  self.degree = #mine
  self.clustering = clustering(mine)
  walk(self)
end
