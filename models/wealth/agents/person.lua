-- One person of the coin exchange.
--
-- self.coins   coins in the hand
-- self.wealth  coins owned. When all act at the same time, a coin given now reaches the other in the
--              next tick; until then it is in nobody's hand, and wealth counts it with its giver. In
--              the other regimes it arrives at once. Metrics look at wealth.

function on.coin(self)
  self.coins = self.coins + 1
  self.wealth = self.coins
end

function step(self)
  self.wealth = self.coins
  if self.coins > 0 then
    self.coins = self.coins - 1
    send(random(param.people), "coin")      -- ids are 1 .. people
    if param.regime ~= "synchronous" then
      self.wealth = self.coins
    end
  end
end
