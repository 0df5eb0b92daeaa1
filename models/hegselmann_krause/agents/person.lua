-- One person. Everybody tells everybody what they think; what arrives in a tick is what all thought
-- when the last one closed, so all move at the same time.
--
-- self.opinion    from 0 to 1
-- self.last_move  the last tick in which it changed
-- self.size       how many thought the same when the last tick closed, oneself included
-- self.first      true for the one of these with the lowest id
-- self.quantile   the place in the regular start: 0 for the first person, 1 for the last

local SAME = 1e-6       -- opinions closer than this are one group
local STILL = 1e-9      -- less is rounding, not a move

local function tell(self)
  self.sum, self.heard = 0, 0           -- of those within epsilon, without oneself
  self.same, self.below = 0, 0          -- of those in one's group, and with a lower id
  broadcast("person", "opinion", {x = self.opinion})
end

function init(self)
  self.size, self.first, self.last_move = 1, true, 0
  tell(self)
end

function on.opinion(self, msg, from)
  local distance = math.abs(msg.x - self.opinion)
  if distance <= param.epsilon then
    self.sum = self.sum + msg.x
    self.heard = self.heard + 1
  end
  if distance < SAME then
    self.same = self.same + 1
    if from < self.id then self.below = self.below + 1 end
  end
end

function step(self)
  local new = (self.sum + self.opinion) / (self.heard + 1)
  if math.abs(new - self.opinion) > STILL then
    self.last_move = tick()
  end
  self.size, self.first = self.same + 1, self.below == 0
  self.opinion = new
  tell(self)
end
