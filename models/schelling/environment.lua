-- Read functions for the metrics: how a person's neighbourhood looks.

local function radius()
  return param.size == "small" and 1 or 2
end

-- How many others live around a person.
function query.around(env, id)
  local x, y = position(id)
  return #neighbors_of(x, y, radius()) - 1
end

-- How many of them are of the person's group.
function query.alike(env, id)
  local x, y = position(id)
  local group, alike = look(id, "group"), -1
  for _, other in ipairs(neighbors_of(x, y, radius())) do
    if look(other, "group") == group then alike = alike + 1 end
  end
  return alike
end
