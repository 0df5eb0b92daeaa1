-- Questions about the agents of a type: each worker answers for its own (`run`), one worker merges the
-- answers (`combine`). Agents are never shipped to answer; only rows that may be in the result are.
--
-- A query, compiled by the front end: {type, where, fields = [{name, code}], group, aggregates =
-- [{name, op, value, condition, q}], order (code), order_column (index of a result column or 0),
-- descending, limit}. Codes are Lua expressions in `self`; empty for none.

local D = ...
local codec, aggregate = D.codec, D.aggregate
local readable = D.text.readable
local error, pcall, pairs, ipairs, type, tostring, getmetatable = error, pcall, pairs, ipairs, type, tostring, getmetatable
local gsub = string.gsub
local sort = table.sort

local M = {}

local function compile(world, name, code)
  if not code or code == "" then return nil end
  return D.compile.expression(world.expression_env, name, "self", code)
end

-- A value as a result shows it: scalars as they are, the rest described.
local function plain(v)
  local t = type(v)
  if t == "table" then
    local n, meta = 0, getmetatable(v)
    for _ in pairs(meta and meta.__of or v) do n = n + 1 end
    return "{" .. n .. " fields}"
  end
  if t == "function" then return "function" end
  if t == "string" then return readable(v) end
  return v
end

-- What stands for a key in a table of groups; the values that cannot be keys have tables of their own.
local NOTHING, NAN = {}, {}

local function index_of(key)
  if key == nil then return NOTHING end
  if key ~= key then return NAN end
  return key
end

-- Total order over the values that a key may have: nil, booleans, numbers (NaN last), strings.
local function class(v)
  local t = type(v)
  if v == nil then return 0 end
  if t == "boolean" then return v and 2 or 1 end
  if t == "number" then return v == v and 3 or 4 end
  return 5
end

local function less(a, b)
  local p, q = class(a), class(b)
  if p ~= q then return p < q end
  if p == 3 or p == 5 then return a < b end
  return false
end

local function same(a, b) return not less(a, b) and not less(b, a) end

local function by_key(descending)
  return function(a, b)
    if not same(a.key, b.key) then
      if descending then return less(b.key, a.key) end
      return less(a.key, b.key)
    end
    return a.rank < b.rank
  end
end

local function without_place(message)
  return (gsub(tostring(message), "^expression:%d+: ", ""))
end

local function each_match(world, q, visit)
  local roster = world.roster
  local k = world.type_index[q.type]
  if not k then error("there is no agent type '" .. tostring(q.type) .. "'", 0) end
  local where = compile(world, "where", q.where)
  local Q, fuel = world.rt.Q, world.fuel
  local from, to = roster.base[k] + 1, roster.base[k] + roster.count[k]
  local part = {name = "where", line = nil}
  world.expression = part
  world.expression_index = 0
  for slot = from, to do
    local self = roster.selves[slot]
    world.expression_slot = slot
    Q.n = fuel
    part.name = "where"
    if not where or where(self) then visit(self, roster.ids[slot], part) end
  end
  world.expression_slot = 0
  world.expression = nil
end

local function grouped(world, q)
  local key_of = compile(world, "group", q.group)
  local specs = {}
  for j, a in ipairs(q.aggregates) do
    specs[j] = {op = a.op, q = a.q, value = compile(world, a.name, a.value), condition = compile(world, a.name, a.condition)}
  end
  local groups, keys = {}, {}
  each_match(world, q, function(self, _, part)
    part.name = "group"
    local key = key_of and plain(key_of(self))
    if key == 0 then key = 0 end          -- one group with -0, whichever comes first
    local index = index_of(key)
    local g = groups[index]
    if not g then
      g = {key = key, count = 0, states = {}}
      for j, a in ipairs(specs) do
        g.states[j] = (a.op == "count" or a.op == "share") and {0, 0} or aggregate.new(a.op, a.q)
      end
      groups[index] = g
      keys[#keys + 1] = g
    end
    g.count = g.count + 1
    for j, a in ipairs(specs) do
      part.name = q.aggregates[j].name
      local state = g.states[j]
      if a.op == "count" or a.op == "share" then
        if not a.condition or a.condition(self) then
          state[2] = state[2] + 1
          if not a.value or a.value(self) then state[1] = state[1] + 1 end
        end
      elseif not a.condition or a.condition(self) then
        local v = a.value(self)
        if type(v) ~= "number" then
          error("gives " .. (v == nil and "nil" or "a " .. type(v)) .. ", where a number is needed", 0)
        end
        aggregate.add(state, v)
      end
    end
  end)
  local w = codec.writer()
  w:array(#keys)
  for _, g in ipairs(keys) do
    w:array(2 + #specs)
    w:value(g.key)
    w:int(g.count)
    for j, a in ipairs(specs) do
      if a.op == "count" or a.op == "share" then
        w:array(2); w:int(g.states[j][1]); w:int(g.states[j][2])
      else
        aggregate.write(w, g.states[j])
      end
    end
  end
  return w:result()
end

local function listed(world, q)
  local order = compile(world, "order", q.order)
  local fields = {}
  for j, f in ipairs(q.fields) do fields[j] = compile(world, f.name, f.code) end
  local found = {}
  each_match(world, q, function(self, id, part)
    part.name = "order"
    local key = nil
    if order then key = plain(order(self)) end
    found[#found + 1] = {key = key, rank = id, self = self}
  end)
  local total = #found
  sort(found, by_key(q.descending))
  local count = total < q.limit and total or q.limit
  local w = codec.writer()
  w:array(2)
  w:int(total)
  w:array(count)
  for j = 1, count do
    local one = found[j]
    w:array(4)
    w:value(one.key)
    w:int(one.rank)
    local row, failure = {}, nil
    if #fields > 0 then
      for c = 1, #fields do
        world.rt.Q.n = world.fuel
        local ok, v = pcall(fields[c], one.self)
        if not ok then
          failure = v == D.sandbox.OUT_OF_FUEL or q.fields[c].name .. ": " .. without_place(v)
          break
        end
        row[q.fields[c].name] = plain(v)
      end
    else
      for name, v in pairs(one.self) do
        if type(name) == "string" and name ~= "type" and name ~= "id" then row[readable(name)] = plain(v) end
      end
    end
    w:value(row)
    -- raised only when the row is among those of the whole: other workers may have better ones
    w:value(failure)
  end
  return w:result()
end

-- This worker's part of the answer, as bytes.
function M.run(world, q)
  if (q.group and q.group ~= "") or #q.aggregates > 0 then return grouped(world, q) end
  return listed(world, q)
end

local function value_of(a, state)
  if a.op == "count" then return state[1] end
  if a.op == "share" then
    if state[2] == 0 then return nil end
    return state[1] / state[2]
  end
  return aggregate.value(state)
end

local function combine_groups(q, parts)
  local groups, keys = {}, {}
  for _, bytes in ipairs(parts) do
    local n, pos = codec.array_header(bytes, 1)
    for _ = 1, n do
      local _, key, count
      _, pos = codec.array_header(bytes, pos)
      key, pos = codec.decode(bytes, pos)
      count, pos = codec.decode(bytes, pos)
      local states = {}
      for j, a in ipairs(q.aggregates) do
        if a.op == "count" or a.op == "share" then
          states[j], pos = codec.decode(bytes, pos)
        else
          states[j], pos = aggregate.read(bytes, pos)
        end
      end
      local index = index_of(key)
      local g = groups[index]
      if not g then
        groups[index] = {key = key, rank = 0, count = count, states = states}
        keys[#keys + 1] = groups[index]
      else
        g.count = g.count + count
        for j, a in ipairs(q.aggregates) do
          if a.op == "count" or a.op == "share" then
            g.states[j][1] = g.states[j][1] + states[j][1]
            g.states[j][2] = g.states[j][2] + states[j][2]
          else
            aggregate.merge(g.states[j], states[j])
          end
        end
      end
    end
  end
  local with_key = q.group and q.group ~= ""
  if #keys == 0 and not with_key then
    local states = {}
    for j, a in ipairs(q.aggregates) do
      states[j] = (a.op == "count" or a.op == "share") and {0, 0} or aggregate.new(a.op, a.q)
    end
    keys[1] = {key = nil, rank = 0, count = 0, states = states}
  end
  sort(keys, function(a, b) return less(a.key, b.key) end)
  local columns = {}
  if with_key then
    columns[1] = q.group_name or "group"
    columns[2] = "agents"
  end
  for _, a in ipairs(q.aggregates) do columns[#columns + 1] = a.name end
  local rows = {}
  for r, g in ipairs(keys) do
    local row = {n = #columns}
    local at = 0
    if with_key then row[1], row[2] = g.key, g.count; at = 2 end
    for j, a in ipairs(q.aggregates) do row[at + j] = value_of(a, g.states[j]) end
    g.row, g.rank = row, r
  end
  local order_column = q.order_column or 0
  if order_column > 0 then
    for _, g in ipairs(keys) do g.key = g.row[order_column] end
    sort(keys, by_key(q.descending))
  end
  for r, g in ipairs(keys) do
    if r > q.limit then break end
    rows[r] = g.row
  end
  return columns, rows, #keys
end

local function combine_lists(world, q, parts)
  local all, total = {}, 0
  for _, bytes in ipairs(parts) do
    local part = codec.decode(bytes, 1)
    total = total + part[1]
    for _, one in ipairs(part[2]) do
      local key = one[1]
      all[#all + 1] = {key = key, rank = one[2], row = one[3], failure = one[4]}
    end
  end
  sort(all, by_key(q.descending))
  for r = 1, #all do
    if r > q.limit then break end
    local failure = all[r].failure
    if failure then
      world.expression = {name = "query"}
      world.expression_about = {world.type_index[q.type], all[r].rank, 0}
      error(failure == true and D.sandbox.OUT_OF_FUEL or failure, 0)
    end
  end
  local columns = {"id"}
  if #q.fields > 0 then
    columns = {}
    local has_id = false
    for _, f in ipairs(q.fields) do
      if f.name == "id" or f.name == "self.id" then has_id = true end
    end
    if not has_id then columns[1] = "id" end
    for _, f in ipairs(q.fields) do columns[#columns + 1] = f.name end
  else
    local names, seen = {}, {}
    for r = 1, #all do
      if r > q.limit then break end
      for name in pairs(all[r].row) do
        if not seen[name] then seen[name] = true; names[#names + 1] = name end
      end
    end
    sort(names)
    for _, name in ipairs(names) do columns[#columns + 1] = name end
  end
  local rows = {}
  for r = 1, #all do
    if r > q.limit then break end
    local row = {n = #columns}
    for c, name in ipairs(columns) do
      if name == "id" then row[c] = all[r].rank else row[c] = all[r].row[name] end
    end
    rows[r] = row
  end
  return columns, rows, total
end

-- The whole answer as bytes: [columns, rows, total].
function M.combine(world, q, parts)
  local columns, rows, total
  if (q.group and q.group ~= "") or #q.aggregates > 0 then
    columns, rows, total = combine_groups(q, parts)
  else
    columns, rows, total = combine_lists(world, q, parts)
  end
  local w = codec.writer()
  w:array(3)
  w:value(columns)
  w:array(#rows)
  for _, row in ipairs(rows) do
    w:array(row.n)
    for c = 1, row.n do w:value(row[c]) end
  end
  w:int(total)
  return w:result()
end

return M
