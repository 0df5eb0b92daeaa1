-- A chain of logistic maps: float work that nothing can shorten, each turn needing the one before.

function init(self)
  self.x = self.id / (param.n + 1)
end

function step(self)
  local x = self.x
  for _ = 1, param.turns do
    x = 3.7 * x * (1 - x)
  end
  self.x = x
end
