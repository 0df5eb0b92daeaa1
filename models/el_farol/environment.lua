-- The bar: counts its guests and hangs out the figures of the last weeks.
--
-- env.history     guests of the last 2 * memory weeks, the latest first
-- env.attendance  guests of the last week

function init(env)
  env.history = {}
  for week = 1, 2 * param.memory do
    env.history[week] = random(0, 99)
  end
  env.attendance, env.guests = env.history[1], 0
end

function on.go(env)
  env.guests = env.guests + 1
end

function step(env)
  env.attendance, env.guests = env.guests, 0
  table.insert(env.history, 1, env.attendance)
  table.remove(env.history)
end
