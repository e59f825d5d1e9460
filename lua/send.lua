#!lua
-- send: put a message into its session's inbox, making the session if there is none.
--
-- KEYS   1 meta  2 in  3 ready (pool and agent)  4 idle (pool and agent)  5 index  6 out
--        7 ids (session and id; only where an id is given)
-- ARGV   1 session    agent/key
--        2 message    a fresh UUID, what it will be called
--        3 body       a JSON object
--        4 pool       the pool that serves the agent
--        5 body limit, in bytes    6 inbox limit, in messages    (both stand in `conf`)
--        7 channel    prefix of the wake channels: tenure:{<slot tag>}:wake:
--        8 id         the sender's own key, or empty
--        9 reply_to   the list for the reply, or empty
--       10 group      or empty; counts when the session is made
--       11 resume     `eager`, `lazy` or empty
-- Reply  {"accepted", message, number}   {"repeat", first message, its answer or ""}
--        {"refused", "stopped" | "full" | "too_large"}   {"other_pool", the right one}
--        {"unreadable", layout version}
-- A repeat (same id within a day, or the message that was accepted last) is told so and adds nothing;
-- by id and with a `reply_to` it gets the first's answer there.

local session, message, body, id = ARGV[1], ARGV[2], ARGV[3], ARGV[8]
if #ARGV ~= 11 or #KEYS < 6 or #KEYS > 7 or (id ~= "") ~= (KEYS[7] ~= nil) then
  return redis.error_reply("ERR send takes 11 arguments and 6 keys, and a 7th with an id: see lua/README.md")
end
if string.sub(body, 1, 1) ~= "{" or string.sub(body, -1) ~= "}" then
  return redis.error_reply("ERR the body must be a JSON object")
end
if #message ~= 36 or string.find(message, "[^%x-]") then
  return redis.error_reply("ERR the message must be named by a UUID")
end
local body_limit, inbox_limit = tonumber(ARGV[5]), tonumber(ARGV[6])
if not body_limit or not inbox_limit then
  return redis.error_reply("ERR the limits are whole numbers")
end

local keys = {
  meta = KEYS[1], inbox = KEYS[2], ready = KEYS[3], idle = KEYS[4], index = KEYS[5], out = KEYS[6], ids = KEYS[7],
  channel = ARGV[7],
}
local reply, notice = accept(keys, {
  session = session, message = message, body = body, pool = ARGV[4], body_limit = body_limit, inbox_limit = inbox_limit,
  id = some(id), reply_to = some(ARGV[9]), group = some(ARGV[10]), resume = some(ARGV[11]),
}, now())
tell(keys, notice)
return reply
