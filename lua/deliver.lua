#!lua flags=allow-oom
-- deliver: push replies to their lists and take them out of out.
--
-- KEYS   three for each reply: out, dead, its list
-- ARGV   1 how long a list is kept after a push, in ms   2… ids in out, one for each reply
-- Reply  how many were pushed
-- A repeat pushes only what is still in out. A list that cannot take it: into dead, reason `reply_to`. The caller
-- that may not write to a list names `out` in its place, which cannot. Taken out last: what breaks off leaves it there.

local pushed = 0
for i = 2, #ARGV do
  local key = (i - 2) * 3
  local out, list = KEYS[key + 1], KEYS[key + 3]
  local entry = call("XRANGE", out, ARGV[i], ARGV[i])[1]
  if entry then
    local fields = {}
    for j = 1, #entry[2], 2 do
      fields[entry[2][j]] = entry[2][j + 1]
    end
    local kind = call("TYPE", list).ok
    if kind == "none" or kind == "list" then
      call("RPUSH", list, fields.payload)
      call("PEXPIRE", list, ARGV[1])
      pushed = pushed + 1
    else
      write_dead(KEYS[key + 2], fields.session, fields.message, "reply_to", 0, now(), fields.payload, fields.to)
    end
    call("XDEL", out, ARGV[i])
  end
end
return pushed
