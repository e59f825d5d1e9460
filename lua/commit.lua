#!lua flags=allow-oom,allow-cross-slot-keys
-- commit: make one boundary of a session durable, if the writer still owns it.
--
-- KEYS   1 meta  2 own  3 hist  4 in  5 workers  6 state  7 timers  8 out  9 dead
--       10 ids (session and id; only where the message that is done has an id)
--     last its reply_to, if the reply goes there in this step: at class memory, where one server has all keys (see 25)
-- ARGV   1 session   2 token   3 commit id   4 after: number of the last entry the writer knows
--        5 turn   6 turns   7 tries   8 backoff in ms, or empty   9 TTL of own in ms   10 page
--       11 state: keep | set | clear   12 the state   13 cause of a quarantine, or empty   14 its reason
--       15 number of the message whose turn it is, or empty   16 its name, and if it is done
--       17 its reply_to, or empty   18 its answer   19 reason if it is given up on, else empty   20 tries it had
--       21 done | empty   22 boundaries of its turn that the writer knows of
--       23 how far that turn got if it goes on: <boundaries>/<eager | lazy>, or empty
--       24 how long the list of the reply is kept after a push in this step, in ms, or empty: then there is none
--       25 that list, if it is not the last key: on a cluster, in another slot of this node, as far as the caller knows
--       26… entries, three each: kind, message or empty, body
-- Reply  {"done", {id, to, …} written to out, mail…}   {"fenced"}   {"lost"}   {"behind", seq}
--        {"unreadable", layout version}
-- A repeat with the session's last commit id is {"done", {}, mail…}, also to an owner fenced since, and pushes nothing;
-- it writes that id once more, so that a WAIT behind it has something to wait for. A list that does not take the
-- reply, or is not here: into out, as without a list.

local list = some(ARGV[24]) and (some(ARGV[25]) or table.remove(KEYS))
local meta, inbox = KEYS[1], KEYS[4]
local token, commit, page = ARGV[2], ARGV[3], tonumber(ARGV[10])

local f = call("HMGET", meta, "v", "token", "seq", "commit", "backoff", "taken", "unfinished")
if f[1] ~= LAYOUT and (f[1] or f[2] or f[3]) then
  return { "unreadable", f[1] or "" }
end
if f[4] == commit then
  call("HSET", meta, "commit", commit)
  return { "done", {}, unpack(mail(inbox, page)) }
end
local worker = worker_of(token)
if gone(call("HGET", KEYS[5], worker)) then
  return { "lost" }
end
if f[2] ~= token then
  return { "fenced" }
end
local last = f[3] or "0"
local boundaries = string.match(f[7] or "", "^%d+") or "0"
if last ~= ARGV[4] or boundaries ~= ARGV[22] then
  return { "behind", last }
end

local at = now()
local time = int(at)

-- One message more than asked for where the head leaves, and at least that one where it must be looked at.
local number = some(ARGV[15])
local done = ARGV[21] == "done" and number
local waiting = mail(inbox, done and page + 1 or number and math.max(page, 1) or page)
local head = waiting[1]
if number then
  local name = '{"v":1,"n":' .. number .. ',"message":"' .. ARGV[16] .. '"'
  if not head or string.sub(head, 1, #name) ~= name then
    return { "behind", last }
  end
  if done or page == 0 then
    table.remove(waiting, 1)
  end
end

-- First what may be refused: the history takes no epoch older than the last claim's.
local epoch = string.match(token, "|(%d+)|")
local seq = tonumber(last)
for i = 26, #ARGV, 3 do
  seq = seq + 1
  last = int(seq)
  local id = epoch .. "-" .. last
  if ARGV[i + 1] == "" then
    call("XADD", KEYS[3], id, "kind", ARGV[i], "turn", ARGV[5], "time", time, "body", ARGV[i + 2])
  else
    call("XADD", KEYS[3], id, "kind", ARGV[i], "turn", ARGV[5], "message", ARGV[i + 1], "time", time, "body", ARGV[i + 2])
  end
end
if ARGV[11] == "set" then
  call("SET", KEYS[6], ARGV[12])
elseif ARGV[11] == "clear" then
  call("DEL", KEYS[6])
end

local backoff = ""
if ARGV[8] ~= "" then
  backoff = int(at + tonumber(ARGV[8]))
  call("ZADD", KEYS[7], backoff, ARGV[1])
elseif some(f[5]) then
  call("ZREM", KEYS[7], ARGV[1])
end
call("HSET", meta, "seq", last, "turns", ARGV[6], "commit", commit, "tries", ARGV[7], "crashes", "", "backoff", backoff, "taken", done or f[6] or "", "updated", time)
if ARGV[13] ~= "" then
  call("HSET", meta, "hold", "quarantined", "cause", ARGV[13], "reason", ARGV[14])
end
if ARGV[23] ~= (f[7] or "") then
  call("HSET", meta, "unfinished", ARGV[23])
end
call("SET", KEYS[2], token, "PX", ARGV[9])

local written = {}
if done then
  call("LPOP", inbox)
  if some(ARGV[19]) then
    write_dead(KEYS[9], ARGV[1], ARGV[16], ARGV[19], tonumber(ARGV[20]), at, body_of(head), ARGV[17], asked_by(head))
  end
  -- Nothing may raise here, behind all that the boundary writes.
  local pushed = list and type(redis.pcall("RPUSH", list, ARGV[18])) == "number"
  if pushed then
    redis.pcall("PEXPIRE", list, ARGV[24])
  end
  written = answer(KEYS[8], KEYS[10], ARGV[1], ARGV[16], some(ARGV[17]), ARGV[18], worker, at, pushed)
end
return { "done", written, unpack(waiting) }
