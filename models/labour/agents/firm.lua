-- A firm: turns work and AI services into goods, and spends every month all that it took in.
--
-- self.skill          its productivity; the median firm has 1
-- self.cash           cents in hand; none at the end of a month
-- self.sales          cents taken in this month
-- self.stock          units made and not yet offered
-- self.labour_part    elasticity of what it makes with respect to work, by its latest inputs

local UNITS = 1000                         -- made by one unit of work and one of AI service

-- Constant elasticity of substitution: the bundle that work and services make together, and how
-- much of it one per cent more work would add, in per cent.
local function combine(work, services)
  local weight = param.ai_weight
  if param.substitution == 1 then
    return work ^ (1 - weight) * services ^ weight, 1 - weight
  end
  local rho = 1 - 1 / param.substitution
  local human = (1 - weight) * work ^ rho
  local machine = weight * services ^ rho
  return (human + machine) ^ (1 / rho), 1 / (1 + machine / human)
end

function init(self)
  self.labour_part = 1 - param.ai_weight
  self.sales = self.cash
  self.made_ever = self.stock
end

function on.money(self, msg)               -- of sales; or a payroll that nobody wanted
  self.cash = self.cash + msg.cents
end

function on.goods(self, msg)               -- that nobody bought
  self.stock = self.stock + msg.units
end

function on.inputs(self, msg)
  local bundle, part = combine(msg.work, msg.services)
  if msg.work > 0 then                     -- else it learns nothing of what work is worth
    self.labour_part = part
  end
  local made = math.floor(UNITS * self.skill * bundle ^ param.returns)
  self.stock = self.stock + made
  self.made_ever = self.made_ever + made
end

-- Pays every input what its last unit adds to sales: labour gets returns * labour_part of them, AI
-- returns * (1 - labour_part). What is left is profit.
function step(self)
  self.sales = self.cash
  local payroll = math.floor(param.returns * self.labour_part * self.cash)
  local rent = math.floor(param.returns * (1 - self.labour_part) * self.cash)
  local profit = self.cash - payroll - rent
  send("environment", "hire", {payroll = payroll, rent = rent, profit = profit})
  send("fund", "money", {cents = profit, why = "profit"})
  self.cash = 0
  send("environment", "sell", {units = self.stock})
  self.stock = 0
end
