-- One person: self.state is "s" susceptible, "i" infectious or "r" recovered.

-- Mean number of contacts that one infectious person makes in a tick. A Poisson number of contacts,
-- each with a person drawn uniformly, reaches every person independently, so a susceptible escapes
-- all contacts of I infectious people with probability
--   reed_frost: exp(I * r0 * n * log(1 - 1/n) / n) = (1 - 1/n)^(r0 * I)
--   rates:      exp(-beta * I / n)
local function contact_rate()
  if param.rule == "reed_frost" then
    return -param.r0 * param.n * math.log(1 - 1 / param.n)
  end
  return param.beta
end

local function recovery()
  return param.rule == "reed_frost" and 1 or param.gamma
end

function on.contact(self)
  if self.state == "s" then
    self.state = "i"
  end
end

function step(self)
  if self.state ~= "i" then return end
  -- Everyone is infectious for at least one whole tick: only those who made contacts may recover.
  if self.met and random() < recovery() then
    self.state = "r"
    return
  end
  self.met = true
  for _ = 1, poisson(contact_rate()) do
    send(random(param.n), "contact")        -- ids are 1 .. n
  end
end
