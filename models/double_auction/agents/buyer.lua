-- Shouts any price up to the limit. It reaches the market before the next trader's turn.

function step(self)
  if self.trading then
    local most = param.constrained and self.limit or 200
    send("environment", "bid", {price = random() * most})
  end
end

function on.traded(self, msg)
  self.trading, self.price = false, msg.price
end
