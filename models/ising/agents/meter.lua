-- Averages the magnetisation over the ticks after param.settle.
-- self.total, self.ticks  sum of its absolute values so far, and of how many ticks

function step(self)
  if tick() > param.settle then
    self.total = self.total + math.abs(layer.spin:mean())
    self.ticks = self.ticks + 1
  end
end
