#!lua flags=allow-oom
-- fire: end a session's wait if its time has come.
--
-- KEYS   1 meta  2 in  3 timers  4 ready (pool, agent)  5 idle (pool, agent)
-- ARGV   1 session   2 pool   3 channel
-- Reply  {"fired"}   {"not_due"}   {"other_pool", the right one}   {"unreadable", layout version}
-- A repeat is {"not_due"}. What stands in timers for no wait, or for what cannot be read (mend puts that
-- back once it can be), is taken out, and a wrong time set right: it must not stand before those that are due.

local session, at = ARGV[1], now()
local record, unreadable = read(KEYS[1])
if not record then
  call("ZREM", KEYS[3], session)
  return unreadable or { "not_due" }
end
if record.pool ~= ARGV[2] then
  return { "other_pool", record.pool }
end
if not record.backoff then
  call("ZREM", KEYS[3], session)
  return { "not_due" }
end
if tonumber(record.backoff) > at then
  call("ZADD", KEYS[3], record.backoff, session)
  return { "not_due" }
end
call("HSET", KEYS[1], "backoff", "", "updated", int(at))
call("ZREM", KEYS[3], session)
if record.token then
  publish(ARGV[3], worker_of(record.token), "w " .. session)
  return { "fired" }
end
local can_run = runnable(record.hold, nil, record.suspended, call("LLEN", KEYS[2]))
settle_ready(KEYS[4], session, can_run, at)
if can_run then
  offer(KEYS[5], ARGV[3], session)
end
return { "fired" }
