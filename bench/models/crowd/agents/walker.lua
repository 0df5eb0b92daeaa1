-- Counts who is near and takes a step in a random direction.

function init(self)
  self.near = 0
end

function step(self)
  self.near = count_near(1)
  move_by(random(3) - 2, random(3) - 2)
end
