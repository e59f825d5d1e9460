#!lua flags=allow-oom
-- claim: take a session that nobody has.
--
-- KEYS   1 meta  2 own  3 hist  4 in  5 state  6 workers  7 duty  8 held (claimant)
--        9 ready (claimant's pool, agent)  10… idle of all that an overdue owner serves
-- ARGV   1 session   2 claimant   3 its pool   4 nonce   5 TTL of own in ms
--        6 greatest epoch seen, or empty   7 overdue: bury | spare   8 page
--        9 what the owner serves whose idle sets are in KEYS, or empty   10 suspect: take | leave
--       11 overdue: how late it may be for bury to count, in ms (later the clock may have been set: spare), or empty
--       12 purpose: run | report (also where there is nothing to run, unless it is suspended)
-- Reply  {"won", token, state or nil, {meta's fields and values}, mail…}   {"held", by}   {"nothing"}
--        {"absent"}   {"other_pool", the right one}   {"unreadable", layout version}   {"lost"}
--        {"suspect"}: it may kill its owner, and waits in ready behind the others   {"quarantined", reason}: it killed one too many
--        {"serves", what an overdue owner serves}: nothing was changed; again, with its idle sets
-- A repeat with the same nonce gets the same lease again.

local meta, session, worker, page = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[8])
local at = now()

if gone(call("HGET", KEYS[6], worker)) then
  return { "lost" }
end
local record, unreadable = read(meta)
if not record then
  call("ZREM", KEYS[9], session)
  return unreadable or { "absent" }
end

local function grant(token)
  call("SET", KEYS[2], token, "PX", ARGV[5])
  call("SADD", KEYS[8], session)
  call("ZREM", KEYS[9], session)
  return { "won", token, call("GET", KEYS[5]), call("HGETALL", meta), unpack(mail(KEYS[4], page)) }
end

local owner = record.token and worker_of(record.token)
if owner == worker and string.match(record.token, "[^|]*$") == ARGV[4] then
  return grant(record.token)
end
if record.pool ~= ARGV[3] then
  return { "other_pool", record.pool }
end
local waiting = call("LLEN", KEYS[4])
if owner and owner ~= worker then
  local lease = call("HGET", KEYS[6], owner)
  local stands = standing(lease, at)
  local spare = ARGV[7] == "spare" or at > (tonumber(ARGV[11]) or at)
  if stands == "alive" or (stands == "overdue" and spare) then
    return { "held", owner }
  end
  if stands == "overdue" then
    if serving(lease) ~= ARGV[9] then
      return { "serves", serving(lease) }
    end
    bury(KEYS[6], KEYS[7], owner, 10, at)
  end
  take_from_the_dead(meta, KEYS[2], record, waiting, at)
end
local is_to_report = ARGV[12] == "report" and not record.suspended
if not record.token and not is_to_report and not runnable(record.hold, record.backoff, record.suspended, waiting) then
  call("ZREM", KEYS[9], session)
  return { "nothing" }
end

local crashes = record.crashes
if record.orphaned then
  crashes = crashes .. (crashes == "" and "" or " ") .. record.orphaned .. "/" .. (record.last or "")
end
local _, count = string.gsub(crashes, "%S+", "")
if record.orphaned and count >= MOST_CRASHES then
  local reason = int(count) .. " of its owners died while it had work, the last was " .. record.last
  call("HSET", meta, "hold", "quarantined", "cause", "poison", "reason", reason, "crashes", crashes, "orphaned", "", "updated", int(at))
  call("ZREM", KEYS[9], session)
  return { "quarantined", reason }
end
if count >= SUSPECT_FROM and ARGV[10] == "leave" then
  if not record.token and runnable(record.hold, record.backoff, record.suspended, waiting) then
    call("ZADD", KEYS[9], int(at), session)
  end
  return { "suspect" }
end

local epoch = int(math.max((tonumber(record.epoch) or -1) + 1, at, tonumber(ARGV[6]) or 0))
local token = worker .. "|" .. epoch .. "|" .. ARGV[4]
if call("EXISTS", KEYS[3]) == 1 then
  call("XSETID", KEYS[3], epoch .. "-0")
end
call("HSET", meta, "token", token, "epoch", epoch, "crashes", crashes, "orphaned", "", "updated", int(at))
return grant(token)
