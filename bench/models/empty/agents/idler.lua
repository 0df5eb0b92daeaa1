-- Neither a handler nor a step: in a tick such an agent costs nothing.

function init(self)
  self.value = self.id
end
