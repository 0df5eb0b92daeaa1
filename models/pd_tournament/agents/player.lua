-- A player meets everybody, itself included: self.games[id] is the game against player `id`.
--
-- game.mine, game.theirs  the moves of the last round, "C" or "D"; nil before the first
-- game.before             the opponent's move of the round before that
-- game.betrayed           the opponent has defected at least once
-- game.score              own points so far

local STRATEGY = {
  AllC = function() return "C" end,
  AllD = function() return "D" end,

  -- tit for tat: what the other did; suspicious: opens with D
  TFT  = function(game) return game.theirs or "C" end,
  STFT = function(game) return game.theirs or "D" end,

  -- tit for two tats: D after two D in a row
  TF2T = function(game)
    return game.theirs == "D" and game.before == "D" and "D" or "C"
  end,

  Grim = function(game) return game.betrayed and "D" or "C" end,

  -- win-stay, lose-shift: the same again after the other's C, the other move after D
  WSLS = function(game)
    if game.theirs == "D" then
      return game.mine == "C" and "D" or "C"
    end
    return game.mine or "C"
  end,

  Alt = function(game) return game.mine == "C" and "D" or "C" end,
}

local function payoff(mine, theirs)
  if mine == "C" then
    return theirs == "C" and param.reward or param.sucker
  end
  return theirs == "C" and param.temptation or param.punishment
end

-- One move in every game. It reaches the opponent in the next tick, so both move without knowing.
local function move(self)
  for _, other in ipairs(agents("player")) do
    local game = self.games[other]
    game.mine = STRATEGY[self.strategy](game)
    send(other, "move", {move = game.mine})
  end
end

function init(self)
  self.games = {}
  for _, other in ipairs(agents("player")) do
    self.games[other] = {score = 0}
  end
  move(self)
end

function on.move(self, msg, from)
  local game = self.games[from]
  local points = payoff(game.mine, msg.move)
  game.score = game.score + points
  self.score = self.score + points
  game.before, game.theirs = game.theirs, msg.move
  game.betrayed = game.betrayed or msg.move == "D"
end

function step(self)
  if tick() < param.rounds then
    move(self)
  end
end
