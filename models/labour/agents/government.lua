-- The government: pays out all taxes, to every household the same.

function init(self)
  self.cash = 0
end

function on.money(self, msg)
  self.cash = self.cash + msg.cents
end

function step(self)
  local cents = math.floor(self.cash / param.households)
  if cents > 0 then
    self.cash = self.cash - cents * param.households
    broadcast("household", "money", {cents = cents, why = "transfer"})
  end
end
