-- One place of the ring. self.value is the id of the node that the token seen last came from.

function init(self)
  self.value = self.id
  send(self.id % param.n + 1, "token", {value = self.id})
end

function on.token(self, msg)
  self.value = msg.value
  send(self.id % param.n + 1, "token", {value = msg.value})
end
