-- Shouts any price from the limit to 200. It reaches the market before the next trader's turn.

function step(self)
  if self.trading then
    local least = param.constrained and self.limit or 0
    send("environment", "ask", {price = least + random() * (200 - least)})
  end
end

function on.traded(self, msg)
  self.trading, self.price = false, msg.price
end
