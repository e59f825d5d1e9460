#!lua flags=allow-oom
-- deliver: push replies to their lists and take them out of out.
--
-- KEYS   three for each reply: out, dead, its list
-- ARGV   1 how long a list is kept after a push, in ms   2… two for each reply: its id in out, its payload
-- Reply  how many were pushed
-- A repeat pushes only what is still in out. A list that cannot take it: into dead, reason `reply_to`. The caller
-- that may not write to a list names `out` in its place, which cannot. Pushed first and taken out then: what breaks off
-- leaves it there. Whether it was there at all only that tells; what was not is taken back before anybody sees it.

-- A push that cannot be taken back must not be made.
if not redis.acl_check_cmd("RPOP", KEYS[3]) then
  return redis.error_reply("TENURE a worker's user needs the right to rpop: see `tenure acl worker`")
end
local pushed, kept = 0, {}

-- Takes a reply out that its list cannot take.
local function give_up(out, dead, id)
  local entry = call("XRANGE", out, id, id)[1]
  if entry then
    local fields = {}
    for i = 1, #entry[2], 2 do
      fields[entry[2][i]] = entry[2][i + 1]
    end
    write_dead(dead, fields.session, fields.message, "reply_to", 0, now(), fields.payload, fields.to)
    call("XDEL", out, id)
  end
end

for i = 2, #ARGV, 2 do
  local key = (i - 2) / 2 * 3
  local out, list, id = KEYS[key + 1], KEYS[key + 3], ARGV[i]
  local length = list ~= out and redis.pcall("RPUSH", list, ARGV[i + 1])
  if type(length) == "number" then
    local left = redis.pcall("XDEL", out, id)
    if left == 1 then
      pushed = pushed + 1
      if not kept[list] then
        call("PEXPIRE", list, ARGV[1])
        kept[list] = true
      end
    else
      call("RPOP", list)
      if left ~= 0 then
        return left
      end
    end
  elseif not length or string.find(length.err, "^WRONGTYPE") then
    give_up(out, KEYS[key + 2], id)
  else
    return length
  end
end
return pushed
