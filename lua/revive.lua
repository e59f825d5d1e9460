#!lua
-- revive: put a dead letter back into its session's inbox, as a message of its own.
--
-- KEYS   1 dead  2 meta  3 in  4 ready (pool, agent)  5 idle (pool, agent)  6 index  7 out
-- ARGV   1 id in dead   2 session   3 message   4 pool   5 body limit   6 inbox limit   7 channel
-- Reply  as of send, or {"gone"} if there is no such letter (any more)
-- A repeat is {"repeat", message, ""}. A letter that is refused stays.

local meta = KEYS[2]
local record, unreadable = read(meta)
if unreadable then
  return unreadable
end
if record and call("HGET", meta, "last_message") == ARGV[3] then
  return { "repeat", ARGV[3], "" }
end
local entry = call("XRANGE", KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then
  return { "gone" }
end
local fields = {}
for i = 1, #entry[2], 2 do
  fields[entry[2][i]] = entry[2][i + 1]
end
local keys = {
  meta = meta, inbox = KEYS[3], ready = KEYS[4], idle = KEYS[5], index = KEYS[6], out = KEYS[7], channel = ARGV[7],
}
local reply, notice = accept(keys, {
  session = ARGV[2], message = ARGV[3], body = fields.body, pool = ARGV[4],
  body_limit = tonumber(ARGV[5]), inbox_limit = tonumber(ARGV[6]), reply_to = some(fields.reply_to),
  durability = some(fields.durability),
}, now())
if reply[1] == "accepted" then
  call("XDEL", KEYS[1], ARGV[1])
end
tell(keys, notice)
return reply
