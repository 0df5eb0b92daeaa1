-- Where agents stand when a simulation begins: `place` of model.toml. Draws come from the stream that is armed.

local D = ...
local in_toml = D.faults.in_toml
local floor, ceil, max, format = math.floor, math.ceil, math.max, string.format
local ipairs = ipairs

local M = {}

-- Row by row, the first agent in the first cell.
local function by_rows(world, t, first, count)
  local S, spec, line = world.replica.space, world.replica.spec, world.program.space.line
  local cells = spec.width * spec.height
  if count > cells then
    in_toml(line, format("place = \"grid\": %d agents of type '%s' do not fit on %d cells", count, t.name, cells))
  end
  for j = 0, count - 1 do
    local x, y = j % spec.width, floor(j / spec.width)
    if S.single and not S.empty_at(x, y) then
      in_toml(line, format("place = \"grid\": the cell (%d, %d) for agent %d of type '%s' is taken already", x, y, first + j, t.name))
    end
    S.put(first + j, x, y)
  end
end

-- A regular lattice of about equal steps along all axes.
local function by_lattice(world, _, first, count)
  local S, spec = world.replica.space, world.replica.spec
  local deep = S.dims == 3
  local step = (spec.width * spec.height * (spec.depth or 1) / count) ^ (1 / S.dims)
  -- the little that is taken off makes 64 agents in a cube 4 x 4 x 4, whatever the root's last bit
  local columns, rows = max(1, ceil(spec.width / step - 1e-9)), max(1, ceil(spec.height / step - 1e-9))
  if not deep then rows = ceil(count / columns) end
  local levels = ceil(count / (columns * rows))
  for j = 0, count - 1 do
    local x, y, z = j % columns, floor(j / columns) % rows, floor(j / (columns * rows))
    S.put(first + j, (x + 0.5) * spec.width / columns, (y + 0.5) * spec.height / rows, deep and (z + 0.5) * spec.depth / levels or nil)
  end
end

local function by_expressions(world, t, first, count, axes)
  local S = world.replica.space
  for j = 1, count do
    local c = {}
    for axis, f in ipairs(t.place_at) do
      world.field = {name = "place." .. f.field, line = f.line}
      c[axis] = axes[axis](j)
      world.field = nil
    end
    local x, y, z = S.fit(c[1], c[2], c[3])
    local who = format("place of agent %d, type '%s': ", first + j - 1, t.name)
    if not x then in_toml(t.place_at[1].line, who .. y) end
    if S.single and not S.empty_at(x, y) then
      in_toml(t.place_at[1].line, format("%sthe cell (%d, %d) is taken already, and one agent fits a cell", who, x, y))
    end
    S.put(first + j - 1, x, y, z)
  end
end

local function in_empty_cells(world, t, first, count)
  local S = world.replica.space
  local free = S.empty_count()
  if count > free then
    in_toml(world.program.space.line, format("%d agents of type '%s' are to be placed, and the grid has %d empty cells left", count, t.name, free))
  end
  for j = 0, count - 1 do
    local x, y = S.kth_empty(floor(world.rng.uniform() * (free - j)) + 1)
    S.put(first + j, x, y)
  end
end

local function anywhere(world, _, first, count)
  local S, spec, uniform = world.replica.space, world.replica.spec, world.rng.uniform
  local whole = world.program.space.kind == "grid"
  for j = 0, count - 1 do
    local x, y, z = uniform() * spec.width, uniform() * spec.height, nil
    if spec.depth then z = uniform() * spec.depth end
    if whole then x, y = floor(x), floor(y) end
    S.put(first + j, x, y, z)
  end
end

-- Puts agents first .. first + count - 1, of type k. axes: the compiled expressions of `place`, if it has some.
function M.place(world, k, first, count, axes)
  local t = world.program.types[k]
  local place = anywhere
  if t.place == "at" then
    place = by_expressions
  elseif t.place == "grid" then
    place = world.program.space.kind == "grid" and by_rows or by_lattice
  elseif t.place == "random_empty" or world.replica.space.single then
    place = in_empty_cells
  end
  place(world, t, first, count, axes)
end

return M
