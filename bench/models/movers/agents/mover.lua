-- Looks at the neighbours one by one and moves a little, at random and a very little away from where they are.

function init(self)
  self.near = 0
end

function step(self)
  local near = neighbors(param.radius)
  local x, y = 0, 0
  for k = 1, #near do
    local dx, dy = offset(near[k])
    x, y = x + dx, y + dy
  end
  self.near = #near
  move_by(0.1 * (random() - 0.5) - 0.001 * x, 0.1 * (random() - 0.5) - 0.001 * y)
end
