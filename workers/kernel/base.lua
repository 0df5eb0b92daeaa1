-- The global functions of agents, less those that reach the host. Those that could hide spent fuel,
-- show an address or change what is shared are written anew.

local deps = ...
local meter, values, order = deps.meter, deps.values, deps.order
local fail, charge, Q = meter.fail, meter.charge, meter.Q
local OUT_OF_FUEL = meter.OUT_OF_FUEL
local text, as_table, as_whole = values.text, values.as_table, values.as_whole
local raw_error, raw_pcall, raw_select, type = error, pcall, select, type
local raw_setmetatable, raw_getmetatable, rawget, rawset, rawequal = setmetatable, getmetatable, rawget, rawset, rawequal
local find, sub, getinfo = string.find, string.sub, debug.getinfo

-- Lua 5.2 can nest about 200 calls through C; LuaJIT thousands.
local MAX_PCALLS = 100
-- Throwing costs about this many loop turns; uncharged, two lines of nested pcalls run for minutes.
local CAUGHT = 50

local M = {}


-- Errors -----------------------------------------------------------------------------------------

-- The last value that is no string and that a script raised: the kernel raises tables too, and reads
-- them; a script's may look like one of those, or have an `__index` that never returns.
local thrown = nil

function M.thrown_by_script(e) return thrown ~= nil and rawequal(e, thrown) end


function M.error(message, level)
  if message == nil then fail("error was called without a message") end
  if type(message) ~= "string" then
    thrown = message
    raw_error(message, 0)
  end
  if level == nil or level == 1 then
    local info = getinfo(2, "Sl")
    if info ~= nil and info.what ~= "C" then fail(message) end
    raw_error(message, 0)
  end
  level = as_whole(level, 2, "error")
  if level > 1 and level < 100 then
    local info = getinfo(level + 1, "Sl")
    if info ~= nil and info.what ~= "C" and info.currentline > 0 and sub(info.source, 1, 8) ~= "@kernel/" then
      message = sub(info.source, 2) .. ":" .. info.currentline .. ": " .. message
    end
  end
  raw_error(message, 0)
end


function M.assert(v, ...)
  if v then return v, ... end
  local given, message = raw_select("#", ...), (...)
  if given == 0 then fail("assertion failed!") end
  if type(message) == "string" then fail(message) end
  thrown = message
  raw_error(message, 0)
end


local nested = 0

-- How many agents wait for the answer of another (`ask`), and how many did when each pcall was entered.
local asked = {depth = 0}
deps.asked = asked
local asked_at = {}

-- What pcall may not catch: spent fuel, which would make the budget a suggestion, the faults of the machine,
-- which do not happen at the same place on every VM, and those of an agent that was asked: they are not the
-- asker's to hide.
local function must_pass(e)
  if Q.n < 0 or asked.depth ~= asked_at[nested] then return true end
  return type(e) == "string"
    and (e == "not enough memory" or e == "error in error handling"
      or find(e, "stack overflow", 1, true) ~= nil)
end


local function enter(name)
  if nested >= MAX_PCALLS then fail(name .. " is nested more than " .. MAX_PCALLS .. " deep") end
  asked_at[nested] = asked.depth
  nested = nested + 1
end


local function caught(e)
  if must_pass(e) then raw_error(Q.n < 0 and OUT_OF_FUEL or e, 0) end
  charge(CAUGHT)
end


-- What a script gets of an error: the codec raises tables, which are for reports.
local function told(e)
  if type(e) == "table" and not M.thrown_by_script(e) and rawget(e, "path") ~= nil then return deps.codec.explain(e) end
  return e
end


local function finish(level, ok, ...)
  nested = level
  if ok then return true, ... end
  caught((...))
  return false, told((...))
end


function M.pcall(f, ...)
  local level = nested
  enter("pcall")
  return finish(level, raw_pcall(f, ...))
end


local function finish_handled(level, handler, ok, ...)
  nested = level
  if ok then return true, ... end
  caught((...))
  nested = level + 1
  local handled_ok, value = raw_pcall(handler, told((...)))
  nested = level
  if not handled_ok then caught(value) end
  return false, value
end


-- The handler runs after unwinding, as an ordinary call: at the point of the throw it could run with
-- neither stack nor fuel left.
function M.xpcall(f, handler, ...)
  if type(handler) ~= "function" then values.expected("function", handler, 2, "xpcall") end
  local level = nested
  enter("xpcall")
  return finish_handled(level, handler, raw_pcall(f, ...))
end


function M.reset()
  nested = 0
  asked.depth = 0
  thrown = nil
end


-- Metatables -------------------------------------------------------------------------------------

-- Agents' metatables are copied into private ones, so that no field can be slipped in that makes a
-- table weak or gives it a finalizer, and `getmetatable` can tell an agent's table from a shared
-- one: only a private metatable has `__owner`.

local REFUSED = {"__gc", "__mode", "__metatable", "__close", "__pairs", "__ipairs", "__count", "__of", "__owner"}

local private_of = raw_setmetatable({}, {__mode = "kv"})


-- Lua 5.2 compares a table having `__lt` with anything; LuaJIT, as Lua 5.1, only two tables with the same `__lt`.
local function comparable(a, b, name)
  local kind = type(a)
  if kind ~= type(b) then fail("attempt to compare " .. kind .. " with " .. type(b)) end
  local ma, mb = raw_getmetatable(a), raw_getmetatable(b)
  local f = ma and ma[name]
  if f == nil or mb == nil or f ~= mb[name] then return nil end
  return f
end

local function compare_less(a, b)
  local f = comparable(a, b, "less")
  if f == nil then fail("attempt to compare two table values") end
  local r = f(a, b)
  return r
end

local function compare_at_most(a, b)
  local f = comparable(a, b, "at_most")
  if f ~= nil then
    local r = f(a, b)
    return r
  end
  local less = compare_less(b, a)
  return not less
end

local STAND_IN = {__lt = compare_less, __le = compare_at_most}

local function set_order(private, event, own, f)
  private[own] = f
  if deps.vm ~= "luajit" and f ~= nil then f = STAND_IN[event] end
  private[event] = f
end


-- What is refused is looked for once; put in later, it is not copied and does nothing.
local function new_private(meta)
  for i = 1, #REFUSED do
    if rawget(meta, REFUSED[i]) ~= nil then
      fail("a metatable may not have '" .. REFUSED[i] .. "': what it does would differ between runs")
    end
  end
  local private = {__owner = meta}
  private_of[meta] = private
  return private
end


function M.setmetatable(t, meta)
  as_table(t, 1, "setmetatable")
  local current = raw_getmetatable(t)
  if current ~= nil and (type(current) ~= "table" or current.__owner == nil) then
    fail("cannot set the metatable of a read-only table")
  end
  if meta == nil then
    raw_setmetatable(t, nil)
    return t
  end
  if type(meta) ~= "table" then fail("bad argument #2 to 'setmetatable' (nil or table expected)") end
  local private = private_of[meta] or new_private(meta)
  -- Written out, and stored only when changed: a constructor's setmetatable is hot, and a loop here would
  -- keep the JIT from compiling its caller.
  local f = rawget(meta, "__index") if private.__index ~= f then private.__index = f end
  f = rawget(meta, "__newindex") if private.__newindex ~= f then private.__newindex = f end
  f = rawget(meta, "__call") if private.__call ~= f then private.__call = f end
  f = rawget(meta, "__tostring") if private.__tostring ~= f then private.__tostring = f end
  f = rawget(meta, "__len") if private.__len ~= f then private.__len = f end
  f = rawget(meta, "__concat") if private.__concat ~= f then private.__concat = f end
  f = rawget(meta, "__unm") if private.__unm ~= f then private.__unm = f end
  f = rawget(meta, "__eq") if private.__eq ~= f then private.__eq = f end
  f = rawget(meta, "__lt") if private.less ~= f then set_order(private, "__lt", "less", f) end
  f = rawget(meta, "__le") if private.at_most ~= f then set_order(private, "__le", "at_most", f) end
  f = rawget(meta, "__add") if private.__add ~= f then private.__add = f end
  f = rawget(meta, "__sub") if private.__sub ~= f then private.__sub = f end
  f = rawget(meta, "__mul") if private.__mul ~= f then private.__mul = f end
  f = rawget(meta, "__div") if private.__div ~= f then private.__div = f end
  f = rawget(meta, "__mod") if private.__mod ~= f then private.__mod = f end
  f = rawget(meta, "__pow") if private.__pow ~= f then private.__pow = f end
  raw_setmetatable(t, private)
  return t
end


function M.getmetatable(v)
  if type(v) ~= "table" then return nil end
  local meta = raw_getmetatable(v)
  if meta == nil then return nil end
  return type(meta) == "table" and meta.__owner or false
end


-- The rest ---------------------------------------------------------------------------------------

function M.rawget(t, k)
  as_table(t, 1, "rawget")
  return (rawget(t, k))
end


function M.rawset(t, k, v)
  as_table(t, 1, "rawset")
  local meta = raw_getmetatable(t)
  if meta ~= nil and (type(meta) ~= "table" or meta.__owner == nil) then
    fail("rawset cannot change a read-only table")
  end
  if k == nil or k ~= k then fail("table index is " .. (k == nil and "nil" or "NaN")) end
  rawset(t, k, v)
  return t
end


function M.rawlen(v)
  if type(v) == "string" then return #v end
  return (values.raw_border(as_table(v, 1, "rawlen")))
end


function M.select(n, ...)
  if n == "#" then return (raw_select("#", ...)) end
  n = as_whole(n, 1, "select")
  local given = raw_select("#", ...)
  if n == 0 or n < -given then fail("bad argument #1 to 'select' (index out of range)") end
  return raw_select(n, ...)
end


M.next, M.pairs, M.ipairs = order.next, order.pairs, order.ipairs
M.tostring, M.tonumber = text, values.to_number
M.type, M.rawequal = type, rawequal

return M
