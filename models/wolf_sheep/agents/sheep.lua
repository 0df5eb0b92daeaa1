-- The sizes of the model; "large" is quicker to breed and to grow.
local BIRTHS = {small = 0.2, large = 0.4}     -- chance of a lamb per tick
local REGROW = {small = 20, large = 10}       -- ticks that eaten grass is away

-- The way to the eight neighbours of a cell.
local X = {-1, 0, 1, -1, 1, -1, 0, 1}
local Y = {-1, -1, -1, 0, 0, 1, 1, 1}

function on.eaten(self)
  remove()
end

function step(self)
  local way = random(8)
  move_by(X[way], Y[way])
  self.energy = self.energy - 1
  local x, y = position()
  if layer.grass(x, y) == 0 then
    self.energy = self.energy + 5
    layer.grass:set(x, y, REGROW[param.size]) 
  end
  if self.energy < 1 then
    remove()
  elseif random() < BIRTHS[param.size] then
    self.energy = self.energy / 2
    spawn("sheep", {energy = self.energy})          -- in the same cell
  end
end
