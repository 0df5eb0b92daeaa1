-- The government: pays out all taxes, to every household the same.
--
-- self.transfer   cents paid to each household in this month

function init(self)
  self.cash, self.transfer = 0, 0
end

function on.money(self, msg)
  self.cash = self.cash + msg.cents
end

function step(self)
  self.transfer = math.floor(self.cash / param.households)
  if self.transfer > 0 then
    self.cash = self.cash - self.transfer * param.households
    broadcast("household", "money", {cents = self.transfer, why = "transfer"})
  end
end
