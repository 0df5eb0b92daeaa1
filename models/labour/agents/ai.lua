-- The AI sector: one unit of capacity for each household, growing more productive month by month.
-- What it earns goes to the fund that owns it.

function init(self)
  self.cash = 0
end

function on.money(self, msg)
  self.cash = self.cash + msg.cents
end

function step(self)
  self.productivity = math.min(param.ceiling, self.productivity * (1 + param.growth))
  send("environment", "serve", {services = param.households * self.productivity})
  send("fund", "money", {cents = self.cash, why = "rent"})
  self.cash = 0
end
