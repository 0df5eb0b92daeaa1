-- Watches what the agents of a type share: the variables and tables of their file. They may not change
-- once agents run, or one agent would reach another. The front end refuses the plain cases by reading;
-- this notices the rest, once per type and tick, by comparing with what was there.

local deps = ...
local text = deps.values.text
local rawget, ipairs = rawget, ipairs
local getupvalue, upvalueid, getmetatable_of = debug.getupvalue, debug.upvalueid, debug.getmetatable
local type, next, find, sub, sort, getinfo = type, next, string.find, string.sub, table.sort, debug.getinfo

local M = {}


local function shown(name, k)
  if type(k) == "string" and find(k, "^[%a_][%w_]*$") then return name .. "." .. k end
  if type(k) == "string" then return name .. "['" .. k .. "']" end
  return name .. "[" .. text(k) .. "]"
end


local function shown_value(v)
  if type(v) == "string" then
    if #v > 40 then v = sub(v, 1, 40) .. "..." end
    return "'" .. v .. "'"
  end
  return text(v)
end


-- Same value; NaN is the same as NaN.
local function same(a, b) return a == b or (a ~= a and b ~= b) end


local OF_AGENTS = " by an agent: agents of a type share what is outside their functions, and it may not change while they run;"
  .. " keep what changes in self, or send it in messages"
local OF_ENVIRONMENT = " by the environment: what is outside its functions is neither saved nor compared, and may not change;"
  .. " keep what changes in env"


-- One table as it was: its name, content and metatable.
local function table_record(t, name)
  local copy, n = {}, 0
  for k, v in next, t do
    copy[k] = v
    n = n + 1
  end
  return {t = t, name = name, copy = copy, n = n, meta = getmetatable_of(t)}
end


-- Keys in an order that does not depend on the VM, so that a report names the same one everywhere;
-- keys without such an order come last.
local RANK = {boolean = 1, number = 2, string = 3}

local function before(a, b)
  local ra, rb = RANK[type(a)] or 4, RANK[type(b)] or 4
  if ra ~= rb then return ra < rb end
  if ra == 1 then return not a and b end
  return ra < 4 and a < b
end

local function sorted_keys(t)
  local keys = {}
  for k in next, t do keys[#keys + 1] = k end
  sort(keys, before)
  return keys
end


-- The first changed key of a table that is known to differ, by the order above.
local function first_difference(record)
  local t, copy, all = record.t, record.copy, {}
  for k, v in next, t do
    if copy[k] == nil or not same(copy[k], v) then all[k] = true end
  end
  for k in next, copy do
    if rawget(t, k) == nil then all[k] = true end
  end
  local k = sorted_keys(all)[1]
  return shown(record.name, k), copy[k]
end


local function table_change(record)
  local copy, n = record.copy, 0
  for k, v in next, record.t do
    n = n + 1
    local old = copy[k]
    if old ~= v and not same(old, v) then return first_difference(record) end
  end
  if n ~= record.n then return first_difference(record) end
  if getmetatable_of(record.t) ~= record.meta then return "the metatable of " .. record.name, nil end
  return nil
end


-- Not with the new value: it would depend on which agents share a worker.
local function describe(what, old, cure)
  local change = " was changed"
  if old ~= nil then change = " (at first " .. shown_value(old) .. ") was changed" end
  return "file-level " .. what .. change .. cure
end


-- Remembers everything that `functions` (a list; handlers, init, step) and the globals defined in
-- `env` reach. of_environment: whether they are environment.lua's. Returns {changed = f, tables = n, variables = n}; f() gives nil or a sentence.
function M.watch(env, functions, of_environment)
  local cure = of_environment and OF_ENVIRONMENT or OF_AGENTS
  local tables, variables = {}, {}
  local seen = {}
  local visit

  local function visit_table(t, name)
    local meta = getmetatable_of(t)
    -- Views of the library, of parameters and of `on` cannot be changed.
    if meta ~= nil and (type(meta) ~= "table" or meta.__owner == nil) then return end
    tables[#tables + 1] = table_record(t, name)
    for _, k in ipairs(sorted_keys(t)) do visit(rawget(t, k), shown(name, k)) end
    if meta ~= nil then visit(meta.__owner, "the metatable of " .. name) end
  end

  local function visit_function(f)
    local info = getinfo(f, "S")
    if info.what == "C" or sub(info.source, 1, 8) == "@kernel/" then return end
    for i = 1, 255 do
      local variable, v = getupvalue(f, i)
      if variable == nil then return end
      -- Names like __Q are the front end's; _ENV is the globals, in one VM.
      if variable ~= "_ENV" and not find(variable, "^__%u") then
        local id = upvalueid(f, i)
        if not seen[id] then
          seen[id] = true
          variables[#variables + 1] = {f = f, i = i, name = variable, value = v}
          visit(v, variable)
        end
      end
    end
  end

  function visit(v, name)
    local kind = type(v)
    if kind ~= "table" and kind ~= "function" or seen[v] then return end
    seen[v] = true
    if kind == "table" then visit_table(v, name) else visit_function(v) end
  end

  local scope = getmetatable_of(env).__scope
  for _, name in ipairs(sorted_keys(scope.own)) do visit(scope.own[name], name) end
  for i = 1, #functions do visit(functions[i], "a handler") end

  local function changed()
    for i = 1, #variables do
      local record = variables[i]
      local _, v = getupvalue(record.f, record.i)
      if v ~= record.value and not same(v, record.value) then
        return describe("variable '" .. record.name .. "'", record.value, cure)
      end
    end
    for i = 1, #tables do
      local what, old = table_change(tables[i])
      if what ~= nil then return describe("table '" .. what .. "'", old, cure) end
    end
    return nil
  end

  return {changed = changed, tables = #tables, variables = #variables}
end

return M
