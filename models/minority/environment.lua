-- The market place: takes the sides of a tick, then says which one was the smaller.
--
-- env.history     the last outcomes as a number from 0 to 2^memory - 1, the latest in the lowest bit
-- env.before      the same a tick ago: what the players had before them when they chose
-- env.winner      the side that won the last tick, 1 or -1
-- env.attendance  the sum of all sides in the last tick

function init(env)
  if param.players % 2 == 0 then
    error("an even number of players may have no minority: players must be odd")
  end
  env.history = random(0, 2 ^ param.memory - 1)
  env.attendance, env.sum = 0, 0
end

function on.choose(env, msg)
  env.sum = env.sum + msg.side
end

function step(env)
  env.attendance, env.sum = env.sum, 0
  env.winner = env.attendance > 0 and -1 or 1
  env.before = env.history
  env.history = (2 * env.history + (env.winner + 1) / 2) % 2 ^ param.memory
end
