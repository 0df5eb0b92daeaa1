-- One person. A meeting takes two ticks, in which every person takes part in one meeting at most:
-- in odd ticks a half of all, drawn anew each time, tell their opinion to somebody; in even ticks
-- each of the other half answers one of those who spoke to them, drawn at random. Meetings of one
-- round have nobody in common, so they could as well have followed one another.
--
-- self.opinion  from 0 to 1; of one who was answered, it moves when the answer arrives
-- self.start    the first opinion
-- self.asks     true for those who spoke in this round
-- self.offers   how many spoke to me; self.partner and self.other: the one drawn, and their opinion

function init(self)
  self.start = self.opinion
end

function on.offer(self, msg, from)
  self.offers = self.offers + 1
  if random(self.offers) == 1 then       -- each of n is drawn with probability 1/n
    self.partner, self.other = from, msg.opinion
  end
end

function on.deal(self, msg)
  self.opinion = self.opinion + msg.by
end

local function ask(self)
  self.asks = random() < 0.5
  if self.asks then
    local other = random(param.people - 1)
    if other >= self.id then other = other + 1 end    -- ids are 1 .. people
    send(other, "offer", {opinion = self.opinion})
  end
end

local function answer(self)
  if self.offers > 0 and not self.asks then
    local difference = self.other - self.opinion
    if math.abs(difference) < param.d then
      self.opinion = self.opinion + param.mu * difference
      send(self.partner, "deal", {by = -param.mu * difference})
    end
  end
  self.offers, self.partner, self.other = 0, nil, nil
end

local POLL = 50       -- ticks between polls

function step(self)
  if tick() % 2 == 1 then
    ask(self)
    if tick() % POLL == POLL - 1 then
      send("pollster", "opinion", {x = self.opinion})
    end
  else
    answer(self)
  end
end
