-- self.vx, self.vy  the velocity, of length 1; published, so that others can look at it

local VISION = {small = 5, large = 15}

function init(self)
  local angle = 2 * math.pi * random()
  self.vx, self.vy = math.cos(angle), math.sin(angle)
end

function step(self)
  local near = neighbors(VISION[param.size])
  local count = #near
  local vx, vy = self.vx, self.vy
  if count > 0 then
    local x, y = position()
    local to_x, to_y, from_x, from_y, along_x, along_y = 0, 0, 0, 0, 0, 0
    for k = 1, count do
      local other = near[k]
      local other_x, other_y = position(other)
      -- As declared in the benchmark: the plain difference, even across the edge of the torus.
      local dx, dy = other_x - x, other_y - y
      to_x, to_y = to_x + dx, to_y + dy
      if dx * dx + dy * dy < 1 then
        from_x, from_y = from_x - dx, from_y - dy
      end
      along_x, along_y = along_x + look(other, "vx"), along_y + look(other, "vy")
    end
    vx = vx + (param.cohere * to_x + param.separate * from_x + param.match * along_x) / count
    vy = vy + (param.cohere * to_y + param.separate * from_y + param.match * along_y) / count
    local length = math.sqrt(vx * vx + vy * vy)
    vx, vy = vx / length, vy / length
    self.vx, self.vy = vx, vy
  end
  move_by(vx, vy)
end
