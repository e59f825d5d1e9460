#!lua flags=allow-oom
-- release: give a session back.
--
-- KEYS   1 meta  2 own  3 in  4 held (owner)  5 ready (pool, agent)  6 idle (pool, agent)
-- ARGV   1 session   2 token   3 leaving: if_idle | hand_off   4 page   5 pool   6 channel
-- Reply  {"released"}   {"runnable", mail…}   {"fenced"}   {"other_pool", the right one}
--        {"unreadable", layout version}
-- A repeat is {"released"} as long as nobody claimed since.

local session, token, at = ARGV[1], ARGV[2], now()
local record, unreadable = read(KEYS[1])
if not record then
  return unreadable or { "fenced" }
end
local worker = worker_of(token)
if record.token ~= token then
  local by_them = not record.token and record.last == worker and record.epoch == string.match(token, "|(%d+)|")
  return { by_them and "released" or "fenced" }
end
local can_run = runnable(record.hold, record.backoff, record.suspended, call("LLEN", KEYS[3]))
if can_run and ARGV[3] == "if_idle" then
  return { "runnable", unpack(mail(KEYS[3], tonumber(ARGV[4]))) }
end
if record.pool ~= ARGV[5] then
  return { "other_pool", record.pool }
end
disown(KEYS[1], KEYS[2], record, at)
call("SREM", KEYS[4], session)
settle_ready(KEYS[5], session, can_run, at)
if can_run then
  offer(KEYS[6], ARGV[6], session, worker)
end
return { "released" }
