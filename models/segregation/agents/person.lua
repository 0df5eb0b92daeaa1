-- One person. self.group is "red" or "green"; self.happy is how it felt at its turn.

function step(self)
  local around = count_near(1)
  local alike = count_near(1, "person", "group", self.group)
  self.happy = alike >= param.wanted / 100 * around
  if not self.happy then
    move_to(random_empty())
  end
end

-- Synchronous: somebody else drew the same empty place, and a draw gave it to them.
function on.blocked(self)
end
