#!lua flags=allow-oom
-- continue: let the unfinished turn of a suspended session go on, with no message.
--
-- KEYS   1 meta  2 in  3 ready (pool, agent)  4 idle (pool, agent)
-- ARGV   1 session   2 pool   3 channel
-- Reply  {"going"}   {"not_suspended"}   {"other_pool", the right one}   {"absent"}
--        {"unreadable", layout version}
-- A repeat is {"not_suspended"}.

local meta, session, at = KEYS[1], ARGV[1], now()
local record, unreadable = read(meta)
if not record then
  return unreadable or { "absent" }
end
if record.pool ~= ARGV[2] then
  return { "other_pool", record.pool }
end
if not record.suspended or record.hold then
  return { "not_suspended" }
end
call("HSET", meta, "suspended", "", "updated", int(at))
local can_run = runnable(nil, record.backoff, nil, call("LLEN", KEYS[2]))
settle_ready(KEYS[3], session, can_run, at)
if can_run then
  offer(KEYS[4], ARGV[3], session)
end
return { "going" }
