-- One person. self.group is "a" or "b"; self.moved is true if it wanted to move in this tick.

local function radius()
  return param.size == "small" and 1 or 2
end

local function wanted()
  return param.size == "small" and 3 or 8
end

function step(self)
  self.moved = count_near(radius(), "person", "group", self.group) < wanted()
  if self.moved then
    move_to(random_empty())
  end
end

-- Synchronous: somebody else has drawn the same empty place and won it.
function on.blocked(self)
  self.moved = false
end
