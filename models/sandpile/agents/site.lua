-- One site of the lattice.
--
-- self.grains   how many lie here
-- self.toppled  how often this site has toppled
-- self.lost     grains that fell from here over the edge of the lattice
-- self.due      true when it has four grains or more and will topple in the next tick
-- self.x        its column, from 0
-- self.away     its distance from the middle: columns or rows, whichever is more
-- self.inner    true in the middle quarter of the lattice, where the edge is hardly felt

local function side()
  return param.side > 0 and param.side or 2 * math.ceil(0.4 * math.sqrt(param.grains)) + 5
end

-- Grains may come from several neighbours in one tick. The site waits for all of them, as a note to
-- itself arrives in the next tick only; a site without sand in motion has no mail and costs nothing.
local function topple_soon(self)
  if self.grains >= 4 and not self.due then
    self.due = true
    after(1, "topple")
  end
end

function init(self)
  local w = side()
  local y = math.floor((self.id - 1) / w)
  self.x = (self.id - 1) % w
  self.away = math.max(math.abs(self.x - (w - 1) / 2), math.abs(y - (w - 1) / 2))
  self.inner = self.away <= w / 4
  if param.drop == "random" then
    -- each site throws its share of the grains, so that the total is exact
    local share = math.floor(param.grains / (w * w))
    if self.id <= param.grains % (w * w) then share = share + 1 end
    for _ = 1, share do
      send(random(w * w), "grains", {n = 1})
    end
  elseif self.id == math.ceil(w * w / 2) then
    send(self.id, "grains", {n = param.grains})
  end
end

function on.grains(self, msg)
  self.grains = self.grains + msg.n
  topple_soon(self)
end

-- All topplings that the grains allow are done at once: the order of topplings changes neither the
-- heights in the end nor how often each site topples.
function on.topple(self)
  local w, id, last = side(), self.id, side() ^ 2
  local n = math.floor(self.grains / 4)
  self.due = false
  self.grains = self.grains - 4 * n
  self.toppled = self.toppled + n
  local kept = 0
  if id > w then send(id - w, "grains", {n = n}); kept = kept + n end
  if self.x > 0 then send(id - 1, "grains", {n = n}); kept = kept + n end
  if self.x < w - 1 then send(id + 1, "grains", {n = n}); kept = kept + n end
  if id <= last - w then send(id + w, "grains", {n = n}); kept = kept + n end
  self.lost = self.lost + 4 * n - kept
end
