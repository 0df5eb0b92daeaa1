-- The customers of the first stage, taken together.
--
-- self.on_order   cases asked for and not yet received
-- self.received   cases received since the start
-- self.demand     cases asked for in this week; demand_var is its variance over the weeks so far

local function demand_now()
  if param.pattern == "step" and tick() >= param.step_week then
    return param.step_to
  elseif param.pattern == "random" then
    return math.max(0, math.floor(normal(param.demand, param.spread) + 0.5))
  end
  return param.demand
end

local function ask(self, cases)
  self.demand = cases
  self.on_order = self.on_order + cases
  send(self.id + 1, "order", {cases = cases})     -- ids: the customer is 1, the stages 2, 3, ...
end

function init(self)
  self.on_order, self.received = param.ship_delay * param.demand, 0      -- on the lorries
  self.mean, self.squares, self.demand_var = 0, 0, 0
  ask(self, param.demand)
end

function on.goods(self, msg)
  self.on_order = self.on_order - msg.cases
  self.received = self.received + msg.cases
end

function step(self)
  ask(self, demand_now())
  -- Welford's running variance
  local week = tick()
  local gap = self.demand - self.mean
  self.mean = self.mean + gap / week
  self.squares = self.squares + gap * (self.demand - self.mean)
  self.demand_var = self.squares / week
end
