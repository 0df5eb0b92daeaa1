-- The chance to adopt in a tick grows with the share of people who had adopted when the last closed.

function step(self)
  if self.adopted then return end
  local share = env.adopters / param.people
  if random() < (param.p + param.q * share) * param.dt then
    self.adopted = true
    send("environment", "adopted")
  end
end
