-- One bird. self.heading is an angle; self.u and self.v, which others see, are its direction.

local RADIUS = 1

local function turn(self, heading)
  self.heading = heading
  self.u, self.v = math.cos(heading), math.sin(heading)
end

function init(self)
  turn(self, self.heading)
end

function step(self)
  local u, v = self.u, self.v
  for _, id in ipairs(neighbors(RADIUS)) do
    u = u + look(id, "u")
    v = v + look(id, "v")
  end
  move_by(param.speed * self.u, param.speed * self.v)
  turn(self, math.atan2(v, u) + param.noise * (random() - 0.5))
end
