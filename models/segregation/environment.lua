-- Read functions for the metrics: how many others live around a person, and how many are alike.

function query.around(env, id)
  local x, y = position(id)
  return #neighbors_of(x, y, 1) - 1
end

function query.alike(env, id)
  local x, y = position(id)
  local group, alike = look(id, "group"), -1            -- not oneself
  for _, other in ipairs(neighbors_of(x, y, 1)) do
    if look(other, "group") == group then alike = alike + 1 end
  end
  return alike
end
