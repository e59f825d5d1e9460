#!lua flags=allow-oom
-- free: let a quarantined session go on, as if nothing had happened to it.
--
-- KEYS   1 meta  2 in  3 ready (pool, agent)  4 idle (pool, agent)
-- ARGV   1 session   2 pool   3 channel   4 first message: keep | drop
-- Reply  {"freed"}   {"not_quarantined"}   {"owned", worker}   {"other_pool", the right one}   {"absent"}
--        {"unreadable", layout version}
-- A repeat is {"not_quarantined"}. The first message is dropped by the next owner, who does not run it.

local meta, session, at = KEYS[1], ARGV[1], now()
local record, unreadable = read(meta)
if not record then
  return unreadable or { "absent" }
end
if record.pool ~= ARGV[2] then
  return { "other_pool", record.pool }
end
if record.hold ~= "quarantined" then
  return { "not_quarantined" }
end
if record.token then
  return { "owned", worker_of(record.token) }
end
if ARGV[4] == "drop" then
  call("HSET", meta, "dropped", int((tonumber(call("HGET", meta, "taken")) or 0) + 1))
end
call("HSET", meta, "hold", "", "cause", "", "reason", "", "crashes", "", "orphaned", "", "suspended", "", "tries", "0", "updated", int(at))
local can_run = runnable(nil, record.backoff, nil, call("LLEN", KEYS[2]))
settle_ready(KEYS[3], session, can_run, at)
if can_run then
  offer(KEYS[4], ARGV[3], session)
end
return { "freed" }
