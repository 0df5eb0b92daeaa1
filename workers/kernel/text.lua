-- Text that leaves the Lua state is UTF-8: Python and JSON read it. Agents' strings are bytes, and
-- stay so in state and bodies; what is shown (logs, reports, rows of queries) goes through here.

local byte, find, format, sub = string.byte, string.find, string.format, string.sub
local concat = table.concat

local M = {}

-- Bytes of the well-formed character at i, or nil: no overlong forms, no surrogates (RFC 3629).
local function length_at(s, i)
  local a, b = byte(s, i, i + 1)
  if a < 0x80 then return 1 end
  if a < 0xC2 or a > 0xF4 or not b then return nil end
  local low, high = 0x80, 0xBF
  if a == 0xE0 then low = 0xA0 elseif a == 0xED then high = 0x9F end
  if a == 0xF0 then low = 0x90 elseif a == 0xF4 then high = 0x8F end
  if b < low or b > high then return nil end
  local length = a < 0xE0 and 2 or a < 0xF0 and 3 or 4
  for j = i + 2, i + length - 1 do
    local c = byte(s, j)
    if not c or c < 0x80 or c > 0xBF then return nil end
  end
  return length
end

-- s with every byte that is not part of a UTF-8 character written as \xNN.
function M.readable(s)
  local at = find(s, "[\128-\255]")
  if not at then return s end
  local parts, start = {}, 1
  while at do
    local length = length_at(s, at)
    if length then
      at = at + length
    else
      parts[#parts + 1] = sub(s, start, at - 1)
      parts[#parts + 1] = format("\\x%02x", byte(s, at))
      at = at + 1
      start = at
    end
    at = find(s, "[\128-\255]", at)
  end
  parts[#parts + 1] = sub(s, start)
  return concat(parts)
end

-- The first `most` bytes of s and "...", without a character cut in two; s itself when it is short.
function M.cut(s, most)
  if #s <= most then return s end
  local last = most
  while last > most - 4 and last > 0 do
    local c = byte(s, last + 1)
    if c < 0x80 or c > 0xBF then break end
    last = last - 1
  end
  return sub(s, 1, last) .. "..."
end

return M
