-- Shards as bytes: canonical msgpack of [[id, type, state, [[due, sent, sender, seq, kind, body], ...]], ...]
-- by id, for a block of consecutive ids. The digest is made of these bytes, and a restore reads them.
-- An agent born in this tick may have asked for changes in its init, which the next close applies; it
-- has a fifth part, [[type, fields, x, y, z], ...], where a removal is ["", {}] and what it asked of the shared
-- world is ["@" .. part of changes.lua, values...].

local D = ...
local codec = D.codec
local sub = string.sub

local M = {}

local SKIP = {id = true, type = true}

-- world.dumping names the agent being written, for the report of a value that cannot be.
function M.dump(world, shard, boxes)
  local roster = world.roster
  local size = roster.shard_size
  local where, type_of, selves = roster.where, roster.type_of, roster.selves
  local first = (shard - 1) * size + 1
  local last = first + size - 1
  if last > roster.last_id then last = roster.last_id end
  local w = codec.writer()
  local changes = world.changes.waiting()
  local function ask(id, change)
    local list = changes[id] or {}
    changes[id] = list
    list[#list + 1] = change
  end
  for _, id in ipairs(world.removals) do ask(id, {"", {}}) end
  for _, s in ipairs(world.spawns) do ask(s[1], {world.program.types[s[2]].name, s[3], s[4], s[5], s[6]}) end
  local living = 0
  for id = first, last do
    if where[id] > 0 then living = living + 1 end
  end
  w:array(living)
  for id = first, last do
    local slot = where[id]
    if slot > 0 then
      world.dumping = id
      w:array(changes[id] and 5 or 4)
      w:int(id)
      w:str(world.program.types[type_of[id]].name)
      w:state(selves[slot], SKIP)
      local box = boxes[slot]
      w:array(box and #box or 0)
      for j = 1, box and #box or 0 do
        local one = box[j]
        w:array(6)
        w:int(one[1]); w:int(one[2]); w:int(one[3]); w:int(one[4])
        w:str(world.program.kinds[one[5]])
        w:value(one[6])
      end
      if changes[id] then w:value(changes[id]) end
    end
  end
  world.dumping = nil
  return w:result()
end

-- Puts the agents of a dumped shard into their slots (the roster is restored already).
function M.load(world, bytes)
  local roster = world.roster
  local count, pos = codec.array_header(bytes, 1)
  for _ = 1, count do
    local parts, id, name, state, mails
    parts, pos = codec.array_header(bytes, pos)
    id, pos = codec.decode(bytes, pos)
    name, pos = codec.decode(bytes, pos)
    state, pos = codec.decode_state(bytes, pos)
    local slot = roster.where[id]
    if not slot or slot <= 0 or world.program.types[roster.type_of[id]].name ~= name then
      error("the shard holds agent " .. tostring(id) .. " of type '" .. tostring(name) .. "', which does not belong here")
    end
    state.id, state.type = id, name
    roster.selves[slot] = state
    mails, pos = codec.array_header(bytes, pos)
    for _ = 1, mails do
      local _, due, sent, sender, seq, kind, body
      _, pos = codec.array_header(bytes, pos)
      due, pos = codec.decode(bytes, pos)
      sent, pos = codec.decode(bytes, pos)
      sender, pos = codec.decode(bytes, pos)
      seq, pos = codec.decode(bytes, pos)
      kind, pos = codec.decode(bytes, pos)
      body, pos = codec.decode(bytes, pos)
      world.mail.put_off(due, id, sender, seq, world.kind_index[kind], body, sent, 0)
    end
    if parts == 5 then
      local changes
      changes, pos = codec.decode(bytes, pos)
      for _, change in ipairs(changes) do
        if change[1] == "" then
          world.removals[#world.removals + 1] = id
        elseif sub(change[1], 1, 1) == "@" then
          world.changes.restore(id, change)
        else
          world.spawns[#world.spawns + 1] = {id, world.type_index[change[1]], change[2], change[3], change[4], change[5]}
        end
      end
    end
  end
end

return M
