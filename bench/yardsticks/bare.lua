-- The bare loops: what LuaJIT does when nothing is promised. One process, one plain loop per workload, each
-- message one fresh table {kind, value} appended to the recipient's inbox table. No isolation, no fuel,
-- no order, no per-agent randomness, no faults. The agents do what those of models/ do.
--
-- Each workload is `make(n) -> advance(ticks), result()`: advance runs, result says what was done, so that the
-- benchmark can check what it timed.

local random, exp = math.random, math.exp
local M = {}

-- The inboxes live on and are emptied in reading (fresh ones would cost up to twice the time); two sets of
-- them take turns, because a message sent in a tick is read in the next.
local function inboxes(n)
  local boxes = {}
  for i = 1, n do boxes[i] = {} end
  return boxes
end

-- Receive one, send one to the next.
function M.ring(n)
  local agents, inbox, outbox = {}, inboxes(n), inboxes(n)
  for i = 1, n do
    agents[i] = {id = i, value = i}
    inbox[i % n + 1][1] = {kind = "token", value = i}
  end
  local ran = 0
  local function advance(ticks)
    for _ = 1, ticks do
      for i = 1, n do
        local self, box = agents[i], inbox[i]
        for j = 1, #box do
          local msg = box[j]
          box[j] = nil
          if msg.kind == "token" then
            self.value = msg.value
            local to = outbox[self.id % n + 1]
            to[#to + 1] = {kind = "token", value = msg.value}
          end
        end
      end
      inbox, outbox = outbox, inbox
    end
    ran = ran + ticks
  end
  -- Nodes that hold the token they should.
  local function result()
    local right = 0
    for k = 1, n do
      if agents[k].value == (k - 1 - ran) % n + 1 then right = right + 1 end
    end
    return right
  end
  return advance, result
end

-- Everybody sends one message per tick to somebody at random.
function M.gossip(n)
  local agents, inbox, outbox = {}, inboxes(n), inboxes(n)
  for i = 1, n do agents[i] = {id = i, heard = 0, before = 0, now = 0} end
  local function advance(ticks)
    for _ = 1, ticks do
      for i = 1, n do
        local self, box = agents[i], inbox[i]
        for j = 1, #box do
          local msg = box[j]
          box[j] = nil
          if msg.kind == "word" then self.heard = self.heard + msg.value end
        end
        self.now = self.heard - self.before
        self.before = self.heard
        local to = outbox[random(n)]
        to[#to + 1] = {kind = "word", value = 1}
      end
      inbox, outbox = outbox, inbox
    end
  end
  -- Words heard and under way.
  local function result()
    local words = 0
    for i = 1, n do words = words + agents[i].heard + #inbox[i] end
    return words
  end
  return advance, result
end

-- Who has a coin sends one to somebody at random, as a message.
function M.coin(n)
  local agents, inbox, outbox = {}, inboxes(n), inboxes(n)
  for i = 1, n do agents[i] = {id = i, coins = 1, wealth = 1} end
  local function advance(ticks)
    for _ = 1, ticks do
      for i = 1, n do
        local self, box = agents[i], inbox[i]
        for j = 1, #box do
          local msg = box[j]
          box[j] = nil
          if msg.kind == "coin" then self.coins = self.coins + msg.value end
        end
        self.wealth = self.coins
        if self.coins > 0 then
          self.coins = self.coins - 1
          local to = outbox[random(n)]
          to[#to + 1] = {kind = "coin", value = 1}
        end
      end
      inbox, outbox = outbox, inbox
    end
  end
  -- Coins in hands and under way.
  local function result()
    local coins = 0
    for i = 1, n do coins = coins + agents[i].coins + #inbox[i] end
    return coins
  end
  return advance, result
end

local function poisson(lambda)
  local limit, k, p = exp(-lambda), 0, random()
  while p > limit do
    k, p = k + 1, p * random()
  end
  return k
end

-- SIR by contact messages, at the rates beta and gamma; the first `infected` agents have it.
function M.sir(n, infected, beta, gamma)
  local agents, inbox, outbox, sent = {}, inboxes(n), inboxes(n), 0
  for i = 1, n do agents[i] = {id = i, state = i <= infected and "i" or "s"} end
  local function advance(ticks)
    for _ = 1, ticks do
      for i = 1, n do
        local self, box = agents[i], inbox[i]
        for j = 1, #box do
          local msg = box[j]
          box[j] = nil
          if msg.kind == "contact" and self.state == "s" then self.state = "i" end
        end
        if self.state == "i" then
          if self.met and random() < gamma then
            self.state = "r"
          else
            self.met = true
            for _ = 1, poisson(beta) do
              local to = outbox[random(n)]
              to[#to + 1] = {kind = "contact", value = 1}
              sent = sent + 1
            end
          end
        end
      end
      inbox, outbox = outbox, inbox
    end
  end
  -- Messages sent.
  local function result() return sent end
  return advance, result
end

-- No messages: a chain of `turns` logistic maps per agent and tick.
function M.compute(n, turns)
  local agents = {}
  for i = 1, n do agents[i] = {id = i, x = i / (n + 1)} end
  local function advance(ticks)
    for _ = 1, ticks do
      for i = 1, n do
        local self = agents[i]
        local x = self.x
        for _ = 1, turns do x = 3.7 * x * (1 - x) end
        self.x = x
      end
    end
  end
  -- A fold over all states that the order of agents cannot change by rounding.
  local function result()
    local largest = 0
    for i = 1, n do
      if agents[i].x > largest then largest = agents[i].x end
    end
    return largest
  end
  return advance, result
end

return M
