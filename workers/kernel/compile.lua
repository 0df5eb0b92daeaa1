-- Text that the front end made of an expression, as a function. The operators that it lowered (`__P`,
-- `__C`, ...) are locals of the chunk, as in agents' scripts; other names come from `env`.

local D = ...
local load, error = load, error

local M = {}

local PREFIX = "local __R=... local __Q,__X,__L,__P,__D,__C,__BA,__BO,__BX,__BN,__SL,__SR="
  .. "__R.Q,__R.X,__R.L,__R.P,__R.D,__R.C,__R.BA,__R.BO,__R.BX,__R.BN,__R.SL,__R.SR "

-- What `body`, the text of a chunk, returns. `name` is what a failure calls the expression.
function M.chunk(env, name, body)
  local chunk, why = load(PREFIX .. body, "=expression", "t", env)
  if not chunk then
    error({kind = "internal", message = "expression '" .. name .. "' does not compile: " .. why}, 0)
  end
  return chunk(D.sandbox.rt)
end

-- function(parameters) that returns the value of `code`.
function M.expression(env, name, parameters, code)
  return M.chunk(env, name, "return function(" .. parameters .. ") return (" .. code .. ") end")
end

return M
