-- expect: out of fuel
local f, state = pairs({a = 1, b = 2})
state.n = 1e15
for i = 1, 1e5 do state[i] = 'x' .. i end
return f(state)
