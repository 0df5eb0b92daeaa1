-- Does nothing: a model has agents, and queries have somebody to ask.

function init(self)
  self.value = self.id
end
