-- Looking at mail that is under way: for mail(...) in expressions, and for dumps.

local D = ...
local i32 = D.buffer.i32
local sort, pairs, ipairs = table.sort, pairs, ipairs

local M = {}

-- Adds the functions below to `mail`. stride: the length of a calendar entry, as mail.lua lays it out.
function M.extend(mail, P, R, kind_of_shape, stride)
  local calendar, later, STRIDE = mail.calendar, mail.later, stride
  -- The same as `under_way` of mail to the environment, which has it.
  function mail.to_environment() return 0 end

  local shapes_of = {}                   -- per kind: 1 at its shapes, else 0
  for s = 1, #kind_of_shape do
    local kind = kind_of_shape[s]
    shapes_of[kind] = shapes_of[kind] or i32(#kind_of_shape)
    shapes_of[kind][s] = 1
  end

  -- Messages of a kind under way to living agents, that were sent or are held here; before the next
  -- tick opens. Calls visit(msg, times, sender, sent tick) for each, when given; returns their number.
  function mail.under_way(kind, tick, visit)
    local n, to, from, shape, pos, special = P.out()
    local where, wanted = R.where, shapes_of[kind]
    local total = 0
    if not special and not R.thinned and not visit then
      for e = 1, n do total = total + wanted[shape[e]] end
    else
      local peek = P.peek_out
      for e = 1, n do
        local recipient, s = to[e], shape[e]
        local delayed = s == 0 and later[pos[e]]
        if wanted[s] == 1 or (delayed and delayed.kind == kind) then
          local times = 1
          if recipient < 0 then
            times = mail.audience_now(-recipient, from[e])
          elseif where[recipient] == 0 then
            times = 0
          end
          total = total + times
          if visit and times > 0 then visit(delayed and delayed.body or peek[s](pos[e]), times, from[e], tick) end
        end
      end
    end
    for _, day in pairs(calendar) do
      for at = 0, day.n - STRIDE, STRIDE do
        if day[at + 4] == kind then
          local recipient, times = day[at + 1], 1
          if recipient < 0 then
            times = mail.audience_now(-recipient, day[at + 2], day[at + 7])
          elseif where[recipient] == 0 then
            times = 0
          end
          total = total + times
          if visit and times > 0 then visit(day[at + 5], times, day[at + 2], day[at + 6]) end
        end
      end
    end
    return total + mail.to_environment(kind, tick, visit)
  end

  -- Mail waiting for each agent hosted here, in reading order: slot -> list of
  -- {due, sent, sender, seq, kind, body}. Opens the tick after `tick`.
  function mail.waiting_by_slot(tick)
    mail.open(tick + 1)
    local boxes = {}
    local function add(slot, due, sent, sender, seq, kind, body)
      local box = boxes[slot]
      if not box then box = {}; boxes[slot] = box end
      box[#box + 1] = {due, sent, sender, seq, kind, body}
    end
    local n, rto, rfrom, rshape, rpos = P.inn()
    local function take(e, slot)
      local sent, kind, seq = mail.about(e, tick + 1)
      add(slot, tick + 1, sent, rfrom[e], seq, kind, P.peek[rshape[e]](rpos[e]))
    end
    if mail.simple then
      for e = 1, n do
        local slot = R.where[rto[e]]
        if slot > 0 then take(e, slot) end
      end
    else
      local count, es, ss = mail.received()
      for k = 1, count do take(es[k], ss[k]) end
    end
    local dues = {}
    for due in pairs(calendar) do dues[#dues + 1] = due end
    sort(dues)
    for _, due in ipairs(dues) do
      local day = calendar[due]
      for at = 0, day.n - STRIDE, STRIDE do
        local to, sender, seq, kind, body, sent = day[at + 1], day[at + 2], day[at + 3], day[at + 4], day[at + 5], day[at + 6]
        if to > 0 then
          local slot = R.where[to]
          if slot > 0 then add(slot, due, sent, sender, seq, kind, body) end
        else
          local k = -to
          for slot = R.base[k] + 1, R.base[k] + R.count[k] do
            local id = R.ids[slot]
            if id > day[at + 7][1] then break end
            if id ~= sender then add(slot, due, sent, sender, seq, kind, body) end
          end
        end
      end
    end
    return boxes
  end
end

return M
