-- self.strategies[k]  the weights of forecast k: one for the constant, then one per week back

function init(self)
  self.strategies = {}
  for k = 1, param.strategies do
    local weights = {}
    for j = 1, param.memory + 1 do
      weights[j] = 2 * random() - 1
    end
    self.strategies[k] = weights
  end
end

-- What a rule forecasts for the week after `past[back]`; past[1] is last week.
local function forecast(weights, past, back)
  local sum = 100 * weights[1]
  for j = 1, param.memory do
    sum = sum + weights[j + 1] * past[back + j - 1]
  end
  return sum
end

-- How far a rule would have been off in the last weeks, added up.
local function mistakes(weights, past)
  local sum = 0
  for week = 1, param.memory do
    sum = sum + math.abs(forecast(weights, past, week + 1) - past[week])
  end
  return sum
end

function step(self)
  local history, past = env.history, {}
  for week = 1, 2 * param.memory do       -- copied once, because it is read many times
    past[week] = history[week]
  end
  local best, least
  for _, weights in ipairs(self.strategies) do
    local off = mistakes(weights, past)
    if not least or off <= least then     -- of equals the last one
      best, least = weights, off
    end
  end
  if forecast(best, past, 1) <= param.threshold then
    send("environment", "go")
  end
end
