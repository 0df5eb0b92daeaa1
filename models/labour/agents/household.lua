-- A household: earns, spends, and decides whether to work.
--
-- self.cash       cents
-- self.share      share of the fund that it owns
-- self.taste      how much it likes not to work
-- self.works      offers a month's work in every month
-- self.wage, dividend, transfer, refund    cents received in this month, after tax
-- self.income     wage + dividend + transfer
-- self.eaten      units bought and eaten in this month; eaten_ever since the start

local function new_month(self)
  self.wage, self.dividend, self.transfer, self.refund = 0, 0, 0, 0
  self.bought = 0
end

function init(self)
  self.works = true
  self.income, self.eaten, self.eaten_ever = 0, 0, 0
  new_month(self)
  send("fund", "owner", {share = self.share})
end

function on.money(self, msg)
  local cents = msg.cents
  if msg.why == "wage" then
    local tax = math.floor(cents * param.wage_tax)
    if tax > 0 then
      send("government", "money", {cents = tax, why = "tax"})
    end
    cents = cents - tax
  end
  self.cash = self.cash + cents
  self[msg.why] = self[msg.why] + cents
end

function on.goods(self, msg)
  self.bought = self.bought + msg.units
end

-- Works if the wage is worth more to it than the time: the richer it is without, the more it wants.
local function willing(self)
  return env.wage * (1 - param.wage_tax) >= self.taste * (self.dividend + self.transfer)
end

function step(self)
  self.income = self.wage + self.dividend + self.transfer
  self.eaten = self.bought
  self.eaten_ever = self.eaten_ever + self.eaten

  if tick() > 1 and random() < param.reconsider then
    self.works = willing(self)
  end
  if self.works then
    send("environment", "work")
  end

  local cents = math.floor(self.cash * param.spending)
  self.cash = self.cash - cents
  send("environment", "spend", {cents = cents})
  new_month(self)
end
