-- The fund that owns all firms and the AI sector. It pays tax on what it earns, and the rest to the
-- households that own it, in proportion to their shares.
--
-- self.owners, shares    ids of households and their shares, which add up to 1

function init(self)
  self.cash = 0
  self.owners, self.shares = {}, {}
end

function on.owner(self, msg, from)
  self.owners[#self.owners + 1] = from
  self.shares[#self.shares + 1] = msg.share
end

function on.money(self, msg)
  self.cash = self.cash + msg.cents
end

function step(self)
  local tax = math.floor(self.cash * param.capital_tax)
  send("government", "money", {cents = tax, why = "tax"})
  local pot = self.cash - tax
  self.cash = pot
  for k, owner in ipairs(self.owners) do
    local cents = math.floor(pot * self.shares[k])
    if cents > 0 then                      -- fractions of cents stay for the next month
      self.cash = self.cash - cents
      send(owner, "money", {cents = cents, why = "dividend"})
    end
  end
end
