#!lua flags=allow-oom
-- mend: restore the invariant for one session, and tell an owner whose own is missing.
--
-- KEYS   1 meta  2 own  3 in  4 workers  5 index  6 timers  7 ready (pool, agent)
--        8 ready (home, agent; the same again if there is none)  9 held (owner; only where one is named)
-- ARGV   1 session   2 pool   3 owner, or empty   4 home, or empty   5 channel
-- Reply  {"fine"}   {"mended"}   {"orphan", of}   {"other_owner", worker or ""}
--        {"other_pool", the right one}   {"absent"}   {"unreadable", layout version}
-- A repeat is {"fine"}, or says the same again.

local meta, session, named, home, at = KEYS[1], ARGV[1], ARGV[3], some(ARGV[4]), now()
local record, unreadable = read(meta)
if unreadable then
  return unreadable
end
if not record then
  call("ZREM", KEYS[5], session)
  call("ZREM", KEYS[6], session)
  call("ZREM", KEYS[7], session)
  if KEYS[9] then
    call("SREM", KEYS[9], session)
  end
  return { "absent" }
end
if record.pool ~= ARGV[2] then
  return { "other_pool", record.pool }
end
local owner = record.token and worker_of(record.token) or ""
if owner ~= named then
  return { "other_owner", owner }
end
local mended = 0
local ready = KEYS[7]
if home and not record.epoch and home ~= record.pool then
  call("HSET", meta, "pool", home, "updated", int(at))
  call("ZREM", ready, session)
  ready = KEYS[8]
  mended = 1
end
if record.token and gone(call("HGET", KEYS[4], owner)) then
  return { "orphan", owner }
end

mended = mended + call("ZADD", KEYS[5], 0, session)
if record.backoff then
  if call("ZSCORE", KEYS[6], session) ~= record.backoff then
    call("ZADD", KEYS[6], record.backoff, session)
    mended = mended + 1
  end
else
  mended = mended + call("ZREM", KEYS[6], session)
end
if record.token then
  mended = mended + call("ZREM", ready, session) + call("SADD", KEYS[9], session)
elseif runnable(record.hold, record.backoff, record.suspended, call("LLEN", KEYS[3])) then
  mended = mended + call("ZADD", ready, "NX", int(at), session)
else
  mended = mended + call("ZREM", ready, session)
end
if record.token and call("EXISTS", KEYS[2]) == 0 then
  publish(ARGV[5], owner, "w " .. session)
end
return { mended > 0 and "mended" or "fine" }
