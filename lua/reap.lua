#!lua flags=allow-oom
-- reap: take a session from an owner that is buried, or that the partition does not know.
--
-- KEYS   1 meta  2 own  3 in  4 workers  5 held (from)  6 ready (pool, agent)  7 idle (pool, agent)
-- ARGV   1 session   2 from   3 pool   4 channel
-- Reply  {"reaped", "1" if it is runnable or ""}   {"alive"}   {"not_theirs"}   {"other_pool", the right one}
--        {"unreadable", layout version}
-- A repeat is {"not_theirs"}.

local EAGER_AHEAD_MS = 1000
local session, from, at = ARGV[1], ARGV[2], now()
if not gone(call("HGET", KEYS[4], from)) then
  return { "alive" }
end
local record, unreadable = read(KEYS[1])
if unreadable then
  return unreadable
end
if not record or not record.token or worker_of(record.token) ~= from then
  call("SREM", KEYS[5], session)
  return { "not_theirs" }
end
if record.pool ~= ARGV[3] then
  return { "other_pool", record.pool }
end
local waiting = call("LLEN", KEYS[3])
take_from_the_dead(KEYS[1], KEYS[2], record, waiting, at)
local can_run = runnable(record.hold, record.backoff, record.suspended, waiting)
call("SREM", KEYS[5], session)
-- Eager ones go before others that wait.
local since = policy(record) == "eager" and at - EAGER_AHEAD_MS or at
settle_ready(KEYS[6], session, can_run, since)
if can_run then
  offer(KEYS[7], ARGV[4], session)
end
return { "reaped", can_run and "1" or "" }
