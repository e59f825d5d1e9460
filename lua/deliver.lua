#!lua flags=allow-oom
-- deliver: push replies to their lists and take them out of out.
--
-- KEYS   1 out  2 dead  3… the lists, one for each id
-- ARGV   1 how long a list is kept after a push, in ms   2… ids in out
-- Reply  how many were pushed
-- A repeat pushes only what is still in out. A list that cannot take it: into dead, reason `reply_to`. The caller
-- that may not write to a list names `out` in its place, which cannot.

local at, pushed = now(), 0
for i = 2, #ARGV do
  local entry = call("XRANGE", KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    local fields = {}
    for j = 1, #entry[2], 2 do
      fields[entry[2][j]] = entry[2][j + 1]
    end
    local list = KEYS[i + 1]
    local kind = call("TYPE", list).ok
    if kind == "none" or kind == "list" then
      call("RPUSH", list, fields.payload)
      call("PEXPIRE", list, ARGV[1])
      pushed = pushed + 1
    else
      write_dead(KEYS[2], fields.session, fields.message, "reply_to", 0, at, fields.payload, fields.to)
    end
    call("XDEL", KEYS[1], ARGV[i])
  end
end
return pushed
