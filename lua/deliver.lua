#!lua flags=allow-oom
-- deliver: push replies to their lists and take them out of out.
--
-- KEYS   three for each reply: out, dead, its list
-- ARGV   1 how long a list is kept after a push, in ms   two for each reply: its id in out, and itself (or empty: as it
--        stands there)
-- Reply  how many were pushed
-- A repeat pushes only what is still in out. A list that cannot take it: into dead, reason `reply_to`. The caller
-- that may not write to a list names `out` in its place, which cannot.

local function stands_in(out, id)
  local entry = call("XRANGE", out, id, id)[1]
  local fields = entry and {}
  for j = 1, entry and #entry[2] or 0, 2 do
    fields[entry[2][j]] = entry[2][j + 1]
  end
  return fields
end

local pushed = 0
for i = 2, #ARGV, 2 do
  local key = (i - 2) / 2 * 3
  local out, list, id, payload = KEYS[key + 1], KEYS[key + 3], ARGV[i], ARGV[i + 1]
  local kind = call("TYPE", list).ok
  local takes = kind == "none" or kind == "list"
  local fields = (payload == "" or not takes) and stands_in(out, id)
  if call("XDEL", out, id) == 1 then
    if takes then
      call("RPUSH", list, some(payload) or fields.payload)
      call("PEXPIRE", list, ARGV[1])
      pushed = pushed + 1
    else
      write_dead(KEYS[key + 2], fields.session, fields.message, "reply_to", 0, now(), fields.payload, fields.to)
    end
  end
end
return pushed
