-- Counts groups. Sorted opinions belong to different groups where they are further than d/2 apart.

function init(self)
  self.heard = {}
end

function on.opinion(self, msg)
  self.heard[#self.heard + 1] = msg.x
end

local function count_group(self, size)
  if size >= param.minor * param.people then
    self.clusters = self.clusters + 1
  end
  self.largest = math.max(self.largest, size / param.people)
end

function step(self)
  if #self.heard == 0 then return end
  table.sort(self.heard)
  self.clusters, self.largest = 0, 0
  local first = 1                        -- of the group
  for i = 2, #self.heard do
    if self.heard[i] - self.heard[i - 1] > param.d / 2 then
      count_group(self, i - first)
      first = i
    end
  end
  count_group(self, #self.heard + 1 - first)
  self.heard = {}
end
