#!lua
-- relay: take a batch of a plain door's entries that belong to one partition, in order, all or none.
--
-- KEYS   1 cursor  2 index  3 out  4 dead, then five for each message: meta in ids ready idle (where it
--        has no id, meta again in place of ids)
-- ARGV   1 field of the cursor, as the door is called   2 id that the caller believes was taken last, or empty   3 last id of the
--        batch, or empty   4 replication id   5 body limit   6 inbox limit   7 channel
--        8… eight for each entry: "message" session message body pool id reply_to policy, where policy is
--        "<resume or empty> <durability or empty> <group or empty>"; or "refuse" session reason body sentence id
--        reply_to durability
-- Reply  {"taken", {…as of send}, …}   {"elsewhere", the last id taken or ""}
--        {"other_pool", which of the batch from 0, the right one}
-- A repeat is {"elsewhere", last id}: the cursor tells. What a session refuses goes to dead, and with a
-- reply_to an error goes to out.

local at = now()
local function parse(id)
  local millis, seq = string.match(id, "^(%d+)-(%d+)$")
  return tonumber(millis), tonumber(seq)
end
local cursor = string.match(call("HGET", KEYS[1], ARGV[1]) or "", "^[^ ]*")
if cursor ~= ARGV[2] then
  return { "elsewhere", cursor }
end

-- A batch is taken whole or not at all: so pools are looked at before anything is written.
local pools, key = {}, 5

-- A session with a key of another type (somebody set it by hand) cannot be read, and stops nobody.
local function guarded(operation, ...)
  local fine, first, second = pcall(operation, ...)
  if fine then
    return first, second
  end
  local why = type(first) == "table" and first.err or tostring(first)
  if not string.find(why, "WRONGTYPE", 1, true) then
    error(first, 0)
  end
  return nil, nil, true
end

for i = 8, #ARGV, 8 do
  if ARGV[i] == "message" then
    local session = ARGV[i + 1]
    if not pools[session] then
      local record, unreadable, broken = guarded(read, KEYS[key])
      pools[session] = record and record.pool or (unreadable or broken) and "" or ARGV[i + 4]
    end
    if pools[session] ~= "" and pools[session] ~= ARGV[i + 4] then
      return { "other_pool", (i - 8) / 8, pools[session] }
    end
    key = key + 5
  end
end

local function refuse(session, id, reply_to, reason, sentence, body, durability)
  write_dead(KEYS[4], session, nil, reason, 0, at, body, reply_to, durability)
  if reply_to then
    write_out(KEYS[3], reply_to, error_envelope(session, nil, id, reason, sentence), session, nil, "", at)
  end
end

local replies, notices = { "taken" }, {}
key = 5
for i = 8, #ARGV, 8 do
  if ARGV[i] == "message" then
    local keys = {
      meta = KEYS[key], inbox = KEYS[key + 1], ids = KEYS[key + 2], ready = KEYS[key + 3], idle = KEYS[key + 4],
      index = KEYS[2], out = KEYS[3], channel = ARGV[7],
    }
    key = key + 5
    local resume, durability, group = string.match(ARGV[i + 7], "^(%S*) (%S*) (.*)$")
    local session, id, reply_to = ARGV[i + 1], some(ARGV[i + 5]), some(ARGV[i + 6])
    local reply, notice, broken = guarded(accept, keys, {
      session = session, message = ARGV[i + 2], body = ARGV[i + 3], pool = ARGV[i + 4],
      body_limit = tonumber(ARGV[5]), inbox_limit = tonumber(ARGV[6]),
      id = id, reply_to = reply_to, resume = some(resume), group = some(group),
      durability = some(durability),
    }, at)
    if broken or reply[1] == "unreadable" then
      reply = { "refused", "unreadable" }
    end
    if reply[1] == "refused" then
      refuse(session, id, reply_to, reply[2], SENTENCES[reply[2]], ARGV[i + 3], some(durability))
    end
    replies[#replies + 1] = reply
    notices[#notices + 1] = notice and { keys, notice }
  else
    refuse(some(ARGV[i + 1]), some(ARGV[i + 5]), some(ARGV[i + 6]), ARGV[i + 2], ARGV[i + 4], ARGV[i + 3], some(ARGV[i + 7]))
    replies[#replies + 1] = { "refused", "malformed" }
  end
end

if ARGV[3] ~= "" then
  local millis, seq = parse(ARGV[3])
  local last_millis, last_seq = 0, 0
  if cursor ~= "" then
    last_millis, last_seq = parse(cursor)
  end
  if cursor == "" or millis > last_millis or (millis == last_millis and seq > last_seq) then
    call("HSET", KEYS[1], ARGV[1], ARGV[3] .. " " .. ARGV[4])
  end
end
for _, notice in ipairs(notices) do
  tell(notice[1], notice[2])
end
return replies
