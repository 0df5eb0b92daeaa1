local BIRTHS = {small = 0.1, large = 0.2}     -- chance of a cub per tick

-- The way to the eight neighbours of a cell.
local X = {-1, 0, 1, -1, 1, -1, 0, 1}
local Y = {-1, -1, -1, 0, 0, 1, 1, 1}

function step(self)
  local way = random(8)
  move_by(X[way], Y[way])
  self.energy = self.energy - 1
  local x, y = position()
  local prey = at(x, y, "sheep")              -- the oldest sheep in this cell, if there are any
  if prey then
    self.energy = self.energy + 13
    send(prey, "eaten")                       -- it is gone before the next wolf's turn
  end
  if self.energy < 0 then
    remove()
  elseif random() < BIRTHS[param.size] then
    self.energy = self.energy / 2
    spawn("wolf", {energy = self.energy})     -- in the same cell
  end
end
