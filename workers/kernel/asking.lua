-- ask(id, kind, body): the answer of another agent's handler, now. Sequential regimes only.

local D = ...
local error = error

local M = {}

local MOST = 50                     -- answers that wait for one another

-- begin, finish, keep_stream: of sequential.lua, what stands around an agent's handler. take_spawns(): adds what the
-- environment spawned to what is made when the turn ends.
function M.new(world, begin, finish, keep_stream, take_spawns)
  local P, R, rng, crumb, Q = world.plan, world.roster, world.rng, world.crumb, world.rt.Q
  local types, asked, copy_of = world.program.types, D.asked, D.codec.copy
  local asking = {}

  local function deny(message) error(message, 0) end

  -- Runs another agent's handler now and gives what it returns. A failure in it cannot be caught: the other's
  -- turn would be half done.
  return function(to, kind, body)
    local inner, me = world.inner, crumb[0]
    local k, id = inner.kind_index(kind), inner.recipient(to)
    local copy = inner.copied(body)
    if id == 0 then
      if not world.environment.handles(kind) then inner.environment_lacks(kind) end
      asked.depth = asked.depth + 1
      local answer = world.environment.handle(me, k, copy)
      asked.depth = asked.depth - 1
      take_spawns()
      return (copy_of(answer, "answer"))
    end
    if id == me then deny("ask: agent " .. me .. " asks itself; call the function directly") end
    if asking[id] then
      deny("ask: agent " .. me .. " asks agent " .. id .. ", which waits for an answer itself: a cycle; send a message instead")
    end
    if asked.depth >= MOST then deny("ask: more than " .. MOST .. " agents wait for one another's answers; send messages instead") end
    local slot, type_index = R.where[id], R.type_of[id]
    if slot <= 0 then deny("ask: agent " .. id .. " is gone; alive(id) tells before") end
    if not world.takers[k][type_index] then inner.unhandled(id, k) end
    local self = R.selves[slot]
    if not self then deny("ask: the init of agent " .. id .. " has not run yet; ask in a later tick, or send a message") end
    local stream, count = rng.save()
    local left, context = Q.n, world.context
    local start, gone, handling = P.suspend()
    local handled_before = world.handled
    asking[me], asked.depth = true, asked.depth + 1
    keep_stream(me)
    begin(id)
    world.context = "on." .. kind
    world.handled = {kind = k, body = copy, from = me, sent = world.tick, seq = 0}
    local answer = copy_of(world.handlers[type_index][kind](self, copy, me), "answer")
    finish(id, self, types[type_index].name)
    asking[me], asked.depth = nil, asked.depth - 1
    crumb[0], Q.n, world.context, world.handled = me, left, context, handled_before
    P.resume(start, gone, handling)
    rng.resume(stream, count)
    return answer
  end
end

return M
