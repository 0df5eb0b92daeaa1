-- One link of the chain: retailer, wholesaler, distributor or brewery, by self.place.
--
-- self.stock      cases in the store
-- self.backlog    cases owed to the customer below
-- self.on_order   cases ordered and not yet received
-- self.asked      cases that the customer below asked for in this week
-- self.ordered    cases ordered in this week; order_var is its variance over the weeks so far
-- self.forecast   cases a week that the stage expects to be asked for
-- self.brewed     cases ever brewed (the last stage only)
--
-- The last stage has no supplier: what it orders it brews, which takes as long as an order and a
-- delivery together take elsewhere.

local HOLDING, OWING = 0.5, 1.0            -- cost of a case and week

local function lead()
  return param.order_delay + param.ship_delay
end

local function brews(self)
  return self.place == param.stages
end

-- Orders `cases`: the order arrives above, or what is brewed is ready, after `weeks`.
local function place_order(self, cases, weeks)
  self.on_order = self.on_order + cases
  if brews(self) then
    self.brewed = self.brewed + cases
    send(self.id, "goods", {cases = cases}, weeks)
  else
    send(self.id + 1, "order", {cases = cases}, weeks)
  end
end

-- The chain starts in balance: every lorry and every letter carries one week's demand.
function init(self)
  self.backlog, self.on_order, self.brewed, self.cost = 0, 0, 0, 0
  self.asked, self.ordered, self.forecast = 0, param.demand, param.demand
  self.mean, self.squares, self.order_var, self.peak = 0, 0, 0, 0
  for week = 1, param.ship_delay do
    send(self.id - 1, "goods", {cases = param.demand}, week)
    if not brews(self) then
      self.on_order = self.on_order + param.demand     -- sent off by the stage above, likewise
    end
  end
  for week = 1, brews(self) and lead() or param.order_delay do
    place_order(self, param.demand, week)
  end
  if param.policy == "order_up_to" then
    self.seen = {}                         -- orders of the last `window` weeks, a ring
    for k = 1, param.window do
      self.seen[k] = param.demand
    end
  end
end

function on.goods(self, msg)
  self.stock = self.stock + msg.cases
  self.on_order = self.on_order - msg.cases
end

function on.order(self, msg)
  self.backlog = self.backlog + msg.cases
  self.asked = self.asked + msg.cases
end

local POLICY = {}

-- Wants, in store and on order, the safety stock and what will be asked for, by the moving average,
-- until an order placed now is there.
function POLICY.order_up_to(self)
  local k = tick() % param.window + 1
  self.forecast = self.forecast + (self.asked - self.seen[k]) / param.window
  self.seen[k] = self.asked
  return lead() * self.forecast + param.safety - (self.stock - self.backlog) - self.on_order
end

-- Anchoring and adjustment, as people play: the forecast is the anchor, a share `alpha` of the gap
-- in stock is the adjustment, and of what is on order only the share `beta` is remembered.
function POLICY.anchor(self)
  self.forecast = self.forecast + param.theta * (self.asked - self.forecast)
  local gap = param.safety - (self.stock - self.backlog)
  local under_way_gap = lead() * self.forecast - self.on_order
  return self.forecast + param.alpha * (gap + param.beta * under_way_gap)
end

local function ship(self)
  local cases = math.min(self.stock, self.backlog)
  self.stock = self.stock - cases
  self.backlog = self.backlog - cases
  send(self.id - 1, "goods", {cases = cases}, param.ship_delay)
end

local function note(self, week)            -- Welford's running variance, the peak, the cost
  local gap = self.ordered - self.mean
  self.mean = self.mean + gap / week
  self.squares = self.squares + gap * (self.ordered - self.mean)
  self.order_var = self.squares / week
  self.peak = math.max(self.peak, self.ordered)
  self.cost = self.cost + HOLDING * self.stock + OWING * self.backlog
end

function step(self)
  ship(self)
  local wanted = POLICY[param.policy](self)
  self.ordered = math.max(0, math.floor(wanted + 0.5))       -- whole cases, and none are sent back
  place_order(self, self.ordered, brews(self) and lead() or param.order_delay)
  self.asked = 0
  note(self, tick())
end
