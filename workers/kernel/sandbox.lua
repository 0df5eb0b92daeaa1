-- What agents' code runs in: an allow-list of functions, and a global table per agent type.
--
-- Everything shared is reached through empty tables whose `__index` leads to the content and whose
-- `__newindex` explains the refusal. The JIT sees through them: `math.floor` in a loop costs the same as from a plain
-- table. A table is changeable by agents' functions only if it has no metatable or one that they set.

local deps = ...
local meter, values, base = deps.meter, deps.values, deps.base
local fail, text = meter.fail, values.text
local type, error, rawset, rawget, getmetatable, setmetatable = type, error, rawset, rawget, getmetatable, setmetatable
local raw_pairs, find = pairs, string.find

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

function M.readonly(t, what, advice)
  return readonly(t, what, advice or ADVICE[what] or "keep what changes in self")
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


-- One metatable serves all strings of the state, the kernel's too: no kernel file calls s:method().
local string_meta = getmetatable("")
string_meta.__index = deps.strings
string_meta.__newindex = function() fail("a string cannot be changed or have fields") end
string_meta.__metatable = false

-- LuaJIT's arithmetic takes some strings for numbers that Lua 5.2 refuses; the refusal ends here.
if deps.vm ~= "luajit" then
  local function number(v)
    if type(v) == "number" then return v end
    if type(v) == "string" then
      local x = deps.foreign_number(v) or values.spelled(v)
      if x ~= nil then return x end
    end
    fail("attempt to perform arithmetic on a " .. type(v) .. " value")
  end
  string_meta.__add = function(a, b) a, b = number(a), number(b) return a + b end
  string_meta.__sub = function(a, b) a, b = number(a), number(b) return a - b end
  string_meta.__mul = function(a, b) a, b = number(a), number(b) return a * b end
  string_meta.__div = function(a, b) a, b = number(a), number(b) return a / b end
  string_meta.__mod = function(a, b) a, b = number(a), number(b) return a % b end
  string_meta.__unm = function(a) return -number(a) end
end
