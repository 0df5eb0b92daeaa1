-- self.infectious  makes contacts, and is not infected by any
-- self.infections  how often infected so far
-- self.met         has made contacts since the infection began

function on.contact(self)
  if not self.infectious then
    self.infectious, self.met = true, false
    self.infections = self.infections + 1
  end
end

function step(self)
  if not self.infectious then return end
  -- Everyone is infectious for at least one whole tick: only those who made contacts may recover.
  if self.met and random() < param.gamma then
    self.infectious = false
    return
  end
  self.met = true
  for _ = 1, poisson(param.beta) do
    send(random(param.n), "contact")              -- ids are 1 .. n
  end
end
