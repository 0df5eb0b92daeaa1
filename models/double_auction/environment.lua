-- The market: the limits that it hands out, the book with the best bid and the best ask, the trades.
--
-- env.values, env.costs   limits of the buyers, highest first, and of the sellers, lowest first
-- env.bid, env.ask        the best standing quote of either side, {price=, trader=}, or nil

local function limits(env)
  env.values, env.costs = {}, {}
  for k = 1, param.market == "A" and 50 or 12 do
    if param.market == "A" then
      env.values[k], env.costs[k] = 202 - 4 * k, 4 * k - 2
    else
      env.values[k], env.costs[k] = 210 - 10 * k, 30 + 10 * k
    end
  end
end

-- Where demand and supply cross: units traded, the prices that clear the market, the gains.
local function equilibrium(env)
  local values, costs = env.values, env.costs
  local k, gains = 0, 0
  while values[k + 1] > costs[k + 1] do
    k = k + 1
    gains = gains + values[k] - costs[k]
  end
  env.best_quantity, env.best_surplus = k, gains
  env.lowest_price = math.max(costs[k], values[k + 1])
  env.highest_price = math.min(values[k], costs[k + 1])
end

function init(env)
  limits(env)
  equilibrium(env)
  env.trades, env.turnover = 0, 0
end

-- Two traders have met: at the price of the quote that stood first. The book is empty again.
local function trade(env, price, one, other)
  env.bid, env.ask = nil, nil
  env.trades, env.turnover = env.trades + 1, env.turnover + price
  record("price", price)
  send(one, "traded", {price = price})
  send(other, "traded", {price = price})
end

function on.bid(env, msg, from)
  if env.ask and msg.price >= env.ask.price then
    trade(env, env.ask.price, env.ask.trader, from)
  elseif not env.bid or msg.price > env.bid.price then
    env.bid = {price = msg.price, trader = from}
  end
end

function on.ask(env, msg, from)
  if env.bid and msg.price <= env.bid.price then
    trade(env, env.bid.price, env.bid.trader, from)
  elseif not env.ask or msg.price < env.ask.price then
    env.ask = {price = msg.price, trader = from}
  end
end
