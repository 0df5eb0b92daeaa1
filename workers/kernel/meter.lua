-- Fuel, and failing at the agent's line. The base of every part of the sandbox.
--
-- Fuel is counted, never timed. The front end puts
--     do local q=__Q.n-1 __Q.n=q if q<0 then __X() end end
-- into every loop turn and function entry; library functions charge for work that no such check
-- sees. Once below zero the counter stays there, so every further check raises again, and
-- `pcall` re-raises on seeing it: spent fuel cannot be caught.
--
-- Failures look for the nearest frame that is not the kernel's and take its position, so a wrapper
-- in a wrapper still blames the agent's line and no error level needs counting.

local deps = ...
local raw_error, getinfo, sub = error, debug.getinfo, string.sub

local Q = deps.fuel

local KERNEL = "@kernel/"
local MAX_FRAMES = 60


-- file, line of the nearest frame of agent code, or nil. Error path only: getinfo ends a trace.
local function place()
  for level = 2, MAX_FRAMES do
    local info = getinfo(level, "Sl")
    if info == nil then return nil end
    local source = info.source
    local first = sub(source, 1, 1)
    if info.what ~= "C" and (first == "@" or first == "=") and sub(source, 1, #KERNEL) ~= KERNEL then
      return sub(source, 2), info.currentline
    end
  end
  return nil
end


local function fail(message)
  local file, line = place()
  if file ~= nil then message = file .. ":" .. line .. ": " .. message end
  raw_error(message, 0)
end


-- The one value raised when fuel is spent; it names the place where that happened.
local OUT_OF_FUEL = {kind = "fuel"}

local function out_of_fuel()
  local file, line = place()
  OUT_OF_FUEL.file, OUT_OF_FUEL.line = file, line
  OUT_OF_FUEL.where = file and (file .. ":" .. line) or nil
  OUT_OF_FUEL.message = (file and (file .. ":" .. line .. ": ") or "")
    .. "out of fuel: too many loop turns and calls in one tick"
  -- Exactly -1 however large the last charge was, so that what is left is no side channel.
  Q.n = -1
  raw_error(OUT_OF_FUEL, 0)
end


-- Fractions of a unit are multiples of 1/64, exact in a double.
local function charge(units)
  local left = Q.n - units
  Q.n = left
  if left < 0 then out_of_fuel() end
end


return {
  Q = Q,
  X = out_of_fuel,
  OUT_OF_FUEL = OUT_OF_FUEL,
  charge = charge,
  fail = fail,
  place = place,
}
