-- The authority: knows the stock, sets the quota, and, where there are sanctions, inspects.
-- The fish themselves are the layer `fish`: they grow and swim when the tick closes.
--
-- env.quota    fish that each fisher may take in the next tick
-- env.caught   fish taken by all in the tick
-- env.fines    fines imposed in the tick; env.fined since the start
-- env.landed   fish landed so far while the tick closes; env.found likewise the fines

-- The most that can be taken for ever: a stock x of capacity K grows by r x (1 - x / K), which is
-- greatest, r K / 4, at x = K / 2.
local function yield()
  return param.regrowth * param.capacity * param.side * param.side / 4
end

-- The quota is a share of that yield while the stock is above K / 2, and less in proportion below.
local function quota()
  local health = layer.fish:mean() / (param.capacity / 2)
  return param.quota * yield() / param.fishers * math.min(1, health)
end

function init(env)
  env.landed, env.caught = 0, 0
  env.found, env.fines, env.fined = 0, 0, 0
  env.quota = quota()
end

function on.landing(env, msg, from)
  env.landed = env.landed + msg.fish
  if param.institution == "sanctions" and msg.fish > env.quota and random() < param.inspection then
    env.found = env.found + 1
    send(from, "fine", {fish = param.fine})
  end
end

function step(env)
  env.caught, env.landed = env.landed, 0
  env.fines, env.found = env.found, 0
  env.fined = env.fined + env.fines
  env.quota = quota()
end

function query.yield(env)
  return yield()
end
