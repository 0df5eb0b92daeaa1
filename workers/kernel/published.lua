-- Published fields: what agents show of themselves. A column per field: values by id, as of the last closed tick
-- (in sequential regimes: as of the end of the last turn or handler of each).
--
-- A field that is searched for by value also has *codes*: each value is a small whole number, and whole numbers can be
-- compared without a branch that the JIT would have to guess.

local D = ...
local codec = D.codec
local i32 = D.buffer.i32
local type, error, pairs, ipairs = type, error, pairs, ipairs
local sort, concat, floor, format = table.sort, table.concat, math.floor, string.format

local M = {}

local MOST_CODES = 1000             -- a field with more values than this is compared

-- Of one type: the fields that differ from what is shown. Written out, because a field's name is then a constant.
local COMPARE = [[
return function(type, bad)
  return function(selves, ids, from, to, column, changed_ids, changed)
    local n = 0
    for i = from, to do
      local v, id = selves[i][%q], ids[i]
      if v ~= column[id] then
        local kind = type(v)
        if kind == "table" or kind == "function" then bad(id, %q, kind) end
        n = n + 1
        changed_ids[n] = id
        changed[n] = v
      end
    end
    return n
  end
end]]

local SHOW = [[
  v = self[%q]
  if v ~= column%d[id] then
    kind = type(v)
    if kind == "table" or kind == "function" then bad(id, %q, kind) end
    column%d[id] = v
    if field%d.codes then recode(field%d, id, v) end
  end
]]

-- world: program, roster. Its `published` gets the columns by field.
function M.new(world)
  local self_ = {exists = false}
  local R, types = world.roster, world.program.types
  local fields, loops, showers = {}, {}, {}

  local function bad(id, field, kind)
    world.crumb[0] = id
    world.context = "publish"
    error("publishes " .. field .. ", which is a " .. kind .. ": a published field is a number, a string, a boolean or nil", 0)
  end

  -- Codes ----------------------------------------------------------------------------------------------

  local function recode(field, id, v)
    if id > field.room then
      local room = floor(R.last_id * 1.5) + 64
      local bigger = i32(room)
      for each = 0, field.room do bigger[each] = field.codes[each] end
      field.codes, field.room = bigger, room
    end
    if v == nil then
      field.codes[id] = 0
      return
    end
    local code = field.code_of[v]
    if code == nil then
      if v ~= v or field.known >= MOST_CODES then
        field.codes, field.compared = nil, true
        return
      end
      field.known = field.known + 1
      code = field.known
      field.code_of[v] = code
    end
    field.codes[id] = code
  end

  local function encode(field)
    field.codes, field.room = i32(R.last_id + 64), R.last_id + 64
    field.code_of, field.known = {}, 0
    for id = 1, R.last_id do
      local v = field.column[id]
      if v ~= nil then recode(field, id, v) end
      if not field.codes then return end
    end
  end

  -- For a search: the array of codes by id, and the code of `value`, 0 when nobody has it; nil when the field's values
  -- have to be compared. In the array 0 is an agent that shows nothing.
  function self_.search(name, value)
    local field = fields[name]
    if not field.codes and not field.compared then encode(field) end
    if not field.codes then return nil end
    if R.last_id > field.room then recode(field, R.last_id, field.column[R.last_id]) end
    return field.codes, field.code_of[value] or 0
  end

  -- Showing ---------------------------------------------------------------------------------------------

  for k, t in ipairs(types) do
    local heads, parts = {}, {}
    for j, name in ipairs(t.publish) do
      local field = fields[name]
      if not field then
        field = {name = name, column = {}, room = 0}
        fields[name] = field
        world.published[name] = field.column
      end
      loops[#loops + 1] = {type = k, field = field,
        run = D.compile.chunk({}, "publish", format(COMPARE, name, name))(type, bad)}
      heads[j] = format("local field%d = fields[%q] local column%d = field%d.column ", j, name, j, j)
      parts[j] = format(SHOW, name, j, name, j, j, j)
    end
    if #t.publish > 0 then
      self_.exists = true
      local text = "return function(fields, type, bad, recode) " .. concat(heads)
        .. "return function(self, id) local v, kind\n" .. concat(parts) .. "end end"
      showers[k] = D.compile.chunk({}, "publish", text)(fields, type, bad, recode)
    end
  end

  -- What this worker's agents show now and did not before: a list of {which, n, ids, values}.
  function self_.compare()
    local changed = {}
    for index, one in ipairs(loops) do
      local from, to = R.base[one.type] + 1, R.base[one.type] + R.count[one.type]
      local ids, values = {}, {}
      local n = one.run(R.selves, R.ids, from, to, one.field.column, ids, values)
      if n > 0 then changed[#changed + 1] = {index, n, ids, values} end
    end
    return changed
  end

  local function put(field, ids, values, n)
    local column = field.column
    for j = 1, n do column[ids[j]] = values[j] end
    if field.codes then
      for j = 1, n do
        if field.codes then recode(field, ids[j], values[j]) end
      end
    end
  end

  function self_.apply(changed)
    for _, one in ipairs(changed) do put(loops[one[1]].field, one[3], one[4], one[2]) end
  end

  -- Shows one agent's fields at once.
  function self_.show(k, id, agent)
    local show = showers[k]
    if show then show(agent, id) end
  end

  function self_.hide(k, id)
    for _, name in ipairs(types[k].publish) do
      local field = fields[name]
      field.column[id] = nil
      if field.codes then field.codes[id] = 0 end
    end
  end

  -- Bytes -----------------------------------------------------------------------------------------------

  function self_.write(w)
    local names = {}
    for name in pairs(fields) do names[#names + 1] = name end
    sort(names)
    w:array(#names)
    for _, name in ipairs(names) do
      local column, ids, values, n = fields[name].column, {}, {}, 0
      for id = 1, R.last_id do
        if column[id] ~= nil then n = n + 1; ids[n] = id; values[n] = column[id] end
      end
      w:array(4)
      w:str(name)
      w:int(n)
      codec.column(w, ids, 1, n)
      codec.column(w, values, 1, n)
    end
  end

  function self_.read(bytes, pos)
    local count
    count, pos = codec.array_header(bytes, pos)
    for _ = 1, count do
      local name, n, _
      local ids, values = {}, {}
      _, pos = codec.array_header(bytes, pos)
      name, pos = codec.decode(bytes, pos)
      n, pos = codec.decode(bytes, pos)
      pos = codec.read_column(bytes, pos, ids, 1)
      pos = codec.read_column(bytes, pos, values, 1)
      put(fields[name], ids, values, n)
    end
    return pos
  end

  return self_
end

return M
