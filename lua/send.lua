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
--       12 durability class that the message asks for over its agent's, or empty; may be left out
-- Reply  {"accepted", message, number}   {"repeat", first message, its answer or ""}
--        {"refused", "stopped" | "full" | "too_large"}   {"other_pool", the right one}
--        {"unreadable", layout version}
-- A repeat (same id within a day, or the message that was accepted last) is told so and adds nothing;
-- by id and with a `reply_to` it gets the first's answer there.

local session, message, body, id = ARGV[1], ARGV[2], ARGV[3], ARGV[8]
if #ARGV < 11 or #ARGV > 12 or #KEYS < 6 or #KEYS > 7 or (id ~= "") ~= (KEYS[7] ~= nil) then
  return redis.error_reply("ERR send takes 11 or 12 arguments and 6 keys, and a 7th with an id: see lua/README.md")
end
if string.sub(body, 1, 1) ~= "{" or string.sub(body, -1) ~= "}" then
  return redis.error_reply("ERR the body must be a JSON object")
end
if #message ~= 36 or string.find(message, "[^%x-]") then
  return redis.error_reply("ERR the message must be named by a UUID")
end

-- Names that a worker could not read would stand in lists which everybody reads: so none gets there.
-- Most are printable ASCII, and that is all that is looked at then.
local function is_utf8(text)
  if not string.find(text, "[\128-\255]") then
    return true
  end
  local sequences = {
    "[\194-\223][\128-\191]", "\224[\160-\191][\128-\191]", "[\225-\236\238\239][\128-\191][\128-\191]",
    "\237[\128-\159][\128-\191]", "\240[\144-\191][\128-\191][\128-\191]",
    "[\241-\243][\128-\191][\128-\191][\128-\191]", "\244[\128-\143][\128-\191][\128-\191]",
  }
  for _, sequence in ipairs(sequences) do
    text = string.gsub(text, sequence, "x")
  end
  return not string.find(text, "[\128-\255]")
end
local function is_text(text)
  return not string.find(text, "[^\32-\126]")
    or is_utf8(text) and not string.find(text, "%c") and not string.find(text, "\194[\128-\159]")
end
local function has_space(text)
  local spaces = {
    "%s", "\194[\133\160]", "\225\154\128", "\226\128[\128-\138\168\169\175]", "\226\129\159", "\227\128\128",
  }
  for _, space in ipairs(spaces) do
    if string.find(text, space) then
      return true
    end
  end
  return false
end
local function is_token(text)
  return not string.find(text, "[^\33-\126]") or is_text(text) and not has_space(text)
end
local function is_class(text)
  if text == "memory" or text == "fsync" then
    return true
  end
  local replicas = string.match(text, "^replicas:([1-9]%d*)$") or string.match(text, "^fsync%+replicas:([1-9]%d*)$")
  return replicas and tonumber(replicas) <= 255
end
local slash = string.find(session, "^[a-z0-9][a-z0-9_-]*/.") and string.find(session, "/", 1, true)
if not slash or slash > 65 or #session > 256 or not is_token(session) then
  return redis.error_reply("ERR the session is agent/key, e.g. echo/alice: 3 to 256 bytes without white space")
end
if #ARGV[4] > 32 or not string.find(ARGV[4], "^[%w_-]+$") then
  return redis.error_reply("ERR the pool is 1 to 32 characters of A-Z a-z 0-9 _ -")
end
if id ~= "" and (#id > 256 or not is_text(id)) then
  return redis.error_reply("ERR the id is at most 256 bytes of UTF-8 without control characters")
end
local reply_to, group, resume = ARGV[9], ARGV[10], ARGV[11]
if reply_to ~= "" and (#reply_to > 512 or not is_utf8(reply_to) or string.sub(reply_to, 1, 7) == "tenure:") then
  return redis.error_reply("ERR reply_to is at most 512 bytes of UTF-8, not beginning with tenure:")
end
if group ~= "" and (#group > 128 or not is_token(group)) then
  return redis.error_reply("ERR the group is at most 128 bytes without white space")
end
if resume ~= "" and resume ~= "eager" and resume ~= "lazy" then
  return redis.error_reply("ERR resume is eager or lazy, or empty")
end
local durability = some(ARGV[12])
if durability and not is_class(durability) then
  return redis.error_reply("ERR durability is memory, replicas:N, fsync or fsync+replicas:N, N from 1 to 255, or empty")
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
  id = some(id), reply_to = some(reply_to), group = some(group), resume = some(resume),
  durability = durability ~= "memory" and durability or nil,
}, now())
tell(keys, notice)
return reply
