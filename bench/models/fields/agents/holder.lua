-- Three fields of different types, and a handler as most agents have one.

function init(self)
  self.cash = self.id * 10
  self.mood = "calm"
  self.open = self.id % 2 == 0
end

function step(self)
  self.cash = self.cash + 1
end
