#!lua flags=allow-oom
-- survey: one look at what a partition needs.
--
-- Changes nothing but deadlines further away than their own lease (the clock went back), which it
-- cuts to that, and workers buried over a day ago, which it forgets.
--
-- KEYS   1 workers  2 timers  3 out  4… ready and idle, in pairs, of each pool and agent asked for
-- Reply  {server time in ms, {due…}, {overdue…}, {buried…}, {{ready…}, … one per pair},
--         {{out id, to, payload}, …}}
-- A repeat looks again.

local PAGE = 100
local REMEMBER_BURIED_MS = 86400000
local WRITER_DELIVERS_MS = 500
local at = now()

local overdue, buried, leases = {}, {}, call("HGETALL", KEYS[1])
local is_gone = {}
for i = 1, #leases, 2 do
  local worker, lease = leases[i], leases[i + 1]
  if gone(lease) then
    if at - tonumber(string.sub(lease, 6)) > REMEMBER_BURIED_MS then
      call("HDEL", KEYS[1], worker)
    else
      buried[#buried + 1] = worker
    end
  else
    is_gone[worker] = false
    if standing(cut(KEYS[1], worker, lease, at), at) == "overdue" then
      overdue[#overdue + 1] = worker
    end
  end
end

local ready = {}
for i = 4, #KEYS, 2 do
  if call("ZCARD", KEYS[i + 1]) > 0 then
    ready[#ready + 1] = call("ZRANGE", KEYS[i], 0, PAGE - 1)
  else
    ready[#ready + 1] = {}
  end
end

local out = {}
for _, entry in ipairs(call("XRANGE", KEYS[3], "-", "+", "COUNT", PAGE)) do
  local fields = {}
  for i = 1, #entry[2], 2 do
    fields[entry[2][i]] = entry[2][i + 1]
  end
  local writer = some(fields.writer)
  local left = not writer or is_gone[writer] == nil
  local age = at - (tonumber(fields.time) or 0)
  -- Less than nothing where the clock went back: then nobody waits until it has caught up.
  if left or age > WRITER_DELIVERS_MS or age < 0 then
    out[#out + 1] = { entry[1], fields.to or "", fields.payload or "" }
  end
end

return { int(at), call("ZRANGEBYSCORE", KEYS[2], "-inf", int(at), "LIMIT", 0, PAGE), overdue, buried, ready, out }
