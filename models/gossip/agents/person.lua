-- self.heard  messages received since the start
-- self.before the same, one tick ago
-- self.now    messages received in this tick

function on.word(self, msg)
  self.heard = self.heard + msg.value
end

function step(self)
  self.now = self.heard - self.before
  self.before = self.heard
  send(random(param.n), "word", {value = 1})
end
