-- What agents' code runs in: an allow-list of functions, and a global table per agent type.
--
-- Everything shared is reached through empty tables whose `__index` leads to the content and whose
-- `__newindex` explains the refusal. The JIT sees through them: `math.floor` in a loop costs the same as from a plain
-- table. A table is changeable by agents' functions only if it has no metatable or one that they set.

local deps = ...
local meter, values, base = deps.meter, deps.values, deps.base
local fail, text = meter.fail, values.text
local type, rawget, getmetatable, setmetatable = type, rawget, getmetatable, setmetatable
local raw_pairs, find, sub = pairs, string.find, string.sub

local M = {OUT_OF_FUEL = meter.OUT_OF_FUEL, Q = meter.Q, charge = meter.charge, fail = meter.fail}


-- Read-only tables -------------------------------------------------------------------------------

local function shown_key(k)
  if type(k) == "string" then
    if find(k, "^[%a_][%w_]*$") then return "." .. k end
    return "['" .. k .. "']"
  end
  return "[" .. text(k) .. "]"
end


-- A view of t through which nothing can be changed; nested tables are views too. `advice` ends the
-- sentence of the refusal.
local function readonly(t, what, advice)
  local content = {}
  for k, v in raw_pairs(t) do
    if type(v) == "table" then v = readonly(v, what .. shown_key(k), advice) end
    content[k] = v
  end
  return setmetatable({}, {
    __index = content,
    __of = content,
    __newindex = function(_, k)
      fail(what .. shown_key(k) .. " is read-only: " .. advice)
    end,
  })
end


local ADVICE = {
  param = "parameters are fixed for a run; keep what changes in self, or set it with -p name=value or in model.toml",
}

M.shown_key = shown_key

function M.readonly(t, what, advice)
  return readonly(t, what, advice or ADVICE[what] or "keep what changes in self")
end

-- A live view of t: reads what is there now; nested tables come as views, made when they are read. All views share
-- their functions, because the JIT does not compile the making of closures. `views` is a table from new_views.
local function view_index(view, k)
  local meta = getmetatable(view)
  local v = rawget(meta.__of, k)
  local kind = type(v)
  if kind == "table" then return meta.__views.shown[v] or M.view(v, meta.__views) end
  -- a function kept in what is shown could change it
  if kind == "function" then fail("env holds a function, at " .. shown_key(k) .. ": the environment keeps nil, booleans, numbers, strings and tables of these") end
  return v
end

local function view_newindex(view, k)
  local meta = getmetatable(view)
  meta.__views.refuse(meta.__of, shown_key(k))
end

-- refuse(table, key) raises. Views are kept by the table they show, as long as somebody holds them.
function M.new_views(refuse) return {shown = setmetatable({}, {__mode = "kv"}), refuse = refuse} end

function M.view(t, views)
  local made = setmetatable({}, {__index = view_index, __newindex = view_newindex, __of = t, __views = views})
  views.shown[t] = made
  return made
end


-- The library ------------------------------------------------------------------------------------

local LIBRARY_ADVICE = "the library is shared by all agents; write a function of your own"

local lib = {}
for _, name in ipairs({
  "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset",
  "select", "setmetatable", "tonumber", "tostring", "type", "xpcall",
}) do
  lib[name] = base[name]
end
lib.unpack = deps.tables.unpack
lib.string = readonly(deps.strings, "string", LIBRARY_ADVICE)
lib.table = readonly(deps.tables, "table", LIBRARY_ADVICE)
lib.math = readonly(deps.maths, "math", LIBRARY_ADVICE)
M.lib = lib


-- Strings ----------------------------------------------------------------------------------------

-- One metatable serves all strings of the state, the kernel's too: no kernel file calls s:method().
local string_meta = getmetatable("")
string_meta.__index = deps.strings
string_meta.__newindex = function() fail("a string cannot be changed or have fields") end
string_meta.__metatable = false


-- LuaJIT's arithmetic takes "inf", "nan" and "0b11" for numbers, Lua 5.2's does not. These run where the VM
-- finds no number, and do as LuaJIT does; the refusal is the same on both.
local function number(v)
  if type(v) == "number" then return v end
  if type(v) == "string" then
    local x = values.implied_number(v)
    if x ~= nil then return x end
    fail("attempt to perform arithmetic on a string value ('" .. sub(v, 1, 40) .. "' is no number)")
  end
  fail("attempt to perform arithmetic on a " .. type(v) .. " value")
end

string_meta.__add = function(a, b) a, b = number(a), number(b) return a + b end
string_meta.__sub = function(a, b) a, b = number(a), number(b) return a - b end
string_meta.__mul = function(a, b) a, b = number(a), number(b) return a * b end
string_meta.__div = function(a, b) a, b = number(a), number(b) return a / b end
string_meta.__mod = function(a, b) a, b = number(a), number(b) return a % b end
string_meta.__unm = function(a) return -number(a) end


-- Environments -----------------------------------------------------------------------------------

local SHARED = "all agents of a type run one script, so this would be shared between them"

local function undefined(_, name)
  fail("undefined global '" .. text(name) .. "'")
end


-- `on` and `query`: tables that take functions by name until the chunk is sealed. `form` shows how.
local function definitions(scope, what, form)
  local functions = {}
  scope[what] = functions
  return setmetatable({}, {
    __index = functions,
    __of = functions,
    __newindex = function(_, name, f)
      if scope.sealed then fail(what .. shown_key(name) .. " cannot be assigned while agents run: " .. SHARED) end
      if type(name) ~= "string" then fail("the name of a function in " .. what .. " is a string: " .. form) end
      if type(f) ~= "function" then fail(what .. shown_key(name) .. " must be a function, not " .. values.describe(f)) end
      if functions[name] ~= nil then fail(what .. shown_key(name) .. " is defined twice") end
      functions[name] = f
    end,
  })
end


-- The global table for one script's chunk: the library, `extra`, `on` (and `query` for the environment's),
-- and what the chunk defines until it is sealed.
function M.environment(extra, with_queries)
  local scope = {own = {}, sealed = false}
  local content = {}
  for name, v in raw_pairs(lib) do content[name] = v end
  for name, v in raw_pairs(extra) do content[name] = v end
  content.on = definitions(scope, "on", with_queries and "function on.NAME(env, msg, from)" or "function on.NAME(self, msg, from)")
  if with_queries then content.query = definitions(scope, "query", "function query.NAME(env, ...)") end
  setmetatable(content, {__index = undefined})
  return setmetatable({}, {
    __index = content,
    __scope = scope,
    __newindex = function(_, name, v)
      if scope.sealed then
        fail("cannot assign the global '" .. text(name) .. "': " .. SHARED .. "; write local " .. text(name)
          .. ", or keep it in self." .. text(name))
      end
      if rawget(content, name) ~= nil and scope.own[name] == nil then
        fail("'" .. text(name) .. "' belongs to the runtime and cannot be redefined; choose another name")
      end
      content[name] = v
      scope.own[name] = v
    end,
  })
end


-- Ends the definitions: from now on an assignment to a global or to `on` is refused.
function M.seal(env) getmetatable(env).__scope.sealed = true end

-- The handlers by message kind; the kernel's own table, to be read only.
function M.handlers(env) return getmetatable(env).__scope.on end

-- The environment's read functions by name, likewise.
function M.queries(env) return getmetatable(env).__scope.query end

-- The global `name` that the chunk defined, or nil.
function M.own(env, name) return getmetatable(env).__scope.own[name] end


-- Whether an error value that is a table was raised by a script's `error` or `assert`: then nothing in it may
-- be believed, or looked at other than raw.
M.thrown_by_script = base.thrown_by_script

-- To be called when a fault has ended a turn and has been reported.
M.reset = base.reset


M.rt = {
  Q = meter.Q, X = meter.X, L = values.length,
  P = deps.operators.P, D = deps.operators.D, C = deps.operators.C,
  BA = deps.operators.BA, BO = deps.operators.BO, BX = deps.operators.BX, BN = deps.operators.BN,
  SL = deps.operators.SL, SR = deps.operators.SR,
  -- table.insert(t, v), for calls that are written with two arguments
  I = function(t, v)
    if type(t) ~= "table" then values.as_table(t, 1, "insert") end
    t[values.length(t) + 1] = v
  end,
}

return M
