-- What everybody can see: how many have adopted.

function init(env)
  env.adopters = 0
  env.new = 0                                -- adopters of the last closed tick
end

function on.adopted(env)
  env.adopters = env.adopters + 1
end

function step(env)                           -- after the messages of the tick
  env.new = env.adopters - (env.before or 0)
  env.before = env.adopters
end
