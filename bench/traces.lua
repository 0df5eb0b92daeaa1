-- Counts what LuaJIT's compiler gives up on, and where: code that stays interpreted is ten times slower.
-- Returns a function that gives the report. Numbers are those of lj_traceerr.h, 2.1.

local funcinfo = require("jit.util").funcinfo
local WHY = {
  [0] = "error or hook while recording", "trace too short", "trace too long", "trace too deep",
  "too many snapshots", "blacklisted", "retry", "bytecode that is never compiled", "leaving loop",
  "inner loop", "loop unroll limit", "bad argument type", "compilation is off for this function",
  "call unroll limit", "down-recursion", "variant of a library function", "return to lower frame",
}

local stopped, flushed, aborted, started = 0, 0, {}, {}

local function place(func, pc)
  local info = funcinfo(func, pc)
  return info.source and info.source .. ":" .. info.currentline or "C function"
end

jit.attach(function(what, trace, func, pc, code, extra)
  if what == "start" then
    started[trace] = place(func, pc)
  elseif what == "stop" then
    stopped = stopped + 1
  elseif what == "flush" then
    flushed = flushed + 1
  elseif what == "abort" then
    local why = WHY[code] or "error " .. tostring(code)
    if extra ~= nil then why = why .. " (" .. tostring(extra) .. ")" end
    local key = place(func, pc) .. ": " .. why .. ", in a trace from " .. (started[trace] or "?")
    aborted[key] = (aborted[key] or 0) + 1
  end
end, "trace")

return function()
  local lines = {}
  for key, count in pairs(aborted) do lines[#lines + 1] = string.format("%5d  %s", count, key) end
  table.sort(lines, function(a, b) return a > b end)
  table.insert(lines, 1, stopped .. " traces, " .. flushed .. " flushes; given up:")
  return table.concat(lines, "\n")
end
