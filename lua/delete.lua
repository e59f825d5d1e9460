#!lua flags=allow-oom
-- delete: delete a session with all its keys.
--
-- KEYS   1 meta  2 own  3 state  4 hist  5 in  6 index  7 timers  8 ready (pool, agent)  9 out  10 dead
--       11 held (owner; only where one is named), then ids, one for each id in ARGV
-- ARGV   1 session   2 owner, or empty   3 how many waiting messages the caller looked at
--        4… of each of those that has an id: its name and id, in order
-- Reply  {"deleted"}   {"more"}: up to a page of mail was given up on, and there is more (or other mail
--        than the caller looked at); again
--        {"absent"}   {"unreadable", layout version}
-- What somebody set at a key of the session, of another type than belongs there, goes with the rest.
-- A repeat goes on, and in the end is {"absent"}. From the first call on its owner is fenced and
-- sends are refused.

local meta, session, at = KEYS[1], ARGV[1], now()
local function forget()
  call("ZREM", KEYS[7], session)
  call("ZREM", KEYS[8], session)
  if ARGV[2] ~= "" then
    call("SREM", KEYS[11], session)
  end
end

local function is_foreign(...)
  local answer = redis.pcall(...)
  return type(answer) == "table" and answer.err and string.find(answer.err, "WRONGTYPE", 1, true)
end
local record, unreadable = nil, nil
local foreign = is_foreign("HMGET", meta, "v")
if foreign then
  record = {}
else
  record, unreadable = read(meta)
end
if unreadable then
  return unreadable
end
if not record then
  forget()
  call("ZREM", KEYS[6], session)
  return { "absent" }
end

if record.token then
  disown(meta, KEYS[2], record, at)
end
call("DEL", KEYS[2])
if is_foreign("LLEN", KEYS[5]) then
  call("DEL", KEYS[5])
end
if not foreign then
  call("HSET", meta, "hold", "stopped", "cause", "", "reason", "", "backoff", "", "updated", int(at))
end
forget()

local first_ids = ARGV[2] ~= "" and 12 or 11
local ids_of = {}
for i = 4, #ARGV, 2 do
  ids_of[ARGV[i] .. " " .. ARGV[i + 1]] = KEYS[first_ids + (i - 4) / 2]
end
for _ = 1, tonumber(ARGV[3]) do
  local element = call("LINDEX", KEYS[5], 0)
  local readable, header = pcall(cjson.decode, string.match(element or "", "^[^\n]*"))
  if readable and type(header) == "table" and header.v == 1 and type(header.message) == "string" then
    local id, reply_to = header.id, header.reply_to
    local ids = id and ids_of[header.message .. " " .. id]
    if id and not ids then
      return { "more" }
    end
    if ids and is_foreign("HLEN", ids) then
      call("DEL", ids)
    end
    write_dead(KEYS[10], session, header.message, "deleted", 0, at, body_of(element), reply_to, asked_by(element))
    local payload = error_envelope(session, header.message, id, "deleted", "the session was deleted")
    answer(KEYS[9], ids, session, header.message, reply_to, payload, "", at)
  elseif element then
    write_dead(KEYS[10], session, nil, "deleted", 0, at, element, nil)
  end
  call("LPOP", KEYS[5])
end
if call("LLEN", KEYS[5]) > 0 then
  return { "more" }
end
call("DEL", meta, KEYS[3], KEYS[4], KEYS[5])
call("ZREM", KEYS[6], session)
return { "deleted" }
