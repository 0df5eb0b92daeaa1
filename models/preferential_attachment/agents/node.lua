-- A node counts its links.

function init(self)
  self.degree = degree()
end
