-- One person of the coin exchange.
--
-- self.coins   coins in the hand when the turn ends
-- self.wealth  coins owned in this tick: those in the hand and the one that was given away in it.
--              A coin given now reaches the other in the next tick; until then it is in nobody's
--              hand, and wealth counts it with its giver. Metrics look at wealth.

function on.coin(self)
  self.coins = self.coins + 1
end

function step(self)
  self.wealth = self.coins
  if self.coins > 0 then
    self.coins = self.coins - 1
    send(random(param.people), "coin")      -- ids are 1 .. people
  end
end
