-- One tree, or what burns in a cell of the left column.
--
-- self.x       its column, from 0
-- self.caught  true once it has caught fire; it burns for one tick

local function ignite_neighbors()
  for _, id in ipairs(neighbors(1)) do
    send(id, "fire")
  end
end

function init(self)
  self.x = position()
  self.caught = self.x == 0
  if self.caught then
    ignite_neighbors()
  elseif random() >= param.density then
    remove()
  end
end

function on.fire(self)
  if self.caught then return end
  self.caught = true
  ignite_neighbors()
end
