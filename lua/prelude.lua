-- prelude: what the scripts share. It stands between the first line of a script and the rest of it.
--
-- An absent value and an empty one are the same: none. Numbers stay below 2^53; epochs are compared
-- as text or, where one must be greater, as milliseconds.

local call = redis.call

-- Version of `meta`.
local LAYOUT = "1"

-- How long an id is remembered, and how many may wait for its answer.
local REMEMBER_ID_MS = 86400000
local MOST_WAITERS = 100

-- How many workers an offer goes over, and what it adds to a load.
local MOST_OFFERS = 3
local ONE_SESSION = 1000

-- A message travels with its wake if its record is not longer.
local WAKE_BYTES = 1024

-- From so many crashes on a session is a suspect, and at so many it is quarantined.
local SUSPECT_FROM = 2
local MOST_CRASHES = 3

-- The texts of `Refusal::sentence`.
local SENTENCES = {
  stopped = "the session is stopped and takes no messages",
  full = "the session's inbox is full",
  too_large = "the body is larger than the limit",
  malformed = "the entry is not a message",
  unreadable = "the session was written by a newer version, or by hand",
}

local function now()
  local time = call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A whole number as text, exact below 2^53.
local function int(number)
  return string.format("%.0f", number)
end

-- The value if there is one, else nil.
local function some(value)
  if value and value ~= "" then
    return value
  end
  return nil
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

-- A JSON string, escaped as the Rust side escapes it.
local function quote(text)
  return '"' .. string.gsub(text, '[%z\1-\31"\\]', function(char)
    return ESCAPES[char] or string.format("\\u%04x", string.byte(char))
  end) .. '"'
end

-- What goes to a sender in place of a reply: the JSON of an `Envelope`.
local function error_envelope(session, message, id, reason, sentence)
  local members = {}
  if session then members[#members + 1] = '"session":' .. quote(session) end
  if message then members[#members + 1] = '"message":' .. quote(message) end
  if id then members[#members + 1] = '"id":' .. quote(id) end
  members[#members + 1] = '"error":{"reason":' .. quote(reason) .. ',"message":' .. quote(sentence) .. "}"
  return "{" .. table.concat(members, ",") .. "}"
end

-- The worker of an owner's token `<worker>|<epoch>|<nonce>`.
local function worker_of(token)
  return string.match(token, "^[^|]*")
end

-- How a worker stands by its value in `workers`: alive, overdue, buried or unknown.
local function standing(lease, at)
  if not lease then
    return "unknown"
  end
  if string.sub(lease, 1, 5) == "dead/" then
    return "buried"
  end
  local deadline = tonumber(string.match(lease, "^%d+"))
  if at > deadline then
    return "overdue"
  end
  return "alive"
end

-- Cuts a living worker's deadline that is further away than its own lease: there the clock went back. Gives its value.
local function cut(workers, worker, lease, at)
  local deadline, length = string.match(lease, "^(%d+)/(%d+)")
  if tonumber(deadline) <= at + tonumber(length) then
    return lease
  end
  local value = int(at + tonumber(length)) .. string.sub(lease, #deadline + 1)
  call("HSET", workers, worker, value)
  return value
end

-- Whether a worker's value in `workers` says that it was buried, or never joined.
local function gone(lease)
  return not lease or string.sub(lease, 1, 5) == "dead/"
end

-- The one table of who may run: the same as `SessionRecord::is_runnable`.
local function runnable(hold, backoff, suspended, waiting)
  return waiting > 0 and not some(hold) and not some(backoff) and not some(suspended)
end

-- A session's record as far as scripts decide by it; nil if there is none, and the reply that says
-- so if this version cannot read it.
local function read(meta)
  local f = call("HMGET", meta, "v", "pool", "token", "last", "epoch", "backoff", "hold", "crashes", "orphaned", "given", "tries", "unfinished", "suspended", "resume")
  if f[1] ~= LAYOUT then
    if f[1] or f[2] or f[10] then
      return nil, { "unreadable", f[1] or "" }
    end
    return nil, nil
  end
  return {
    pool = f[2], token = some(f[3]), last = some(f[4]), epoch = some(f[5]), backoff = some(f[6]), hold = some(f[7]),
    crashes = f[8] or "", orphaned = some(f[9]), given = tonumber(f[10]) or 0, tries = tonumber(f[11]) or 0,
    unfinished = some(f[12]), suspended = some(f[13]), resume = some(f[14]),
  }
end

-- The first `page` elements of an inbox.
local function mail(inbox, page)
  if page == 0 then
    return {}
  end
  return call("LRANGE", inbox, 0, page - 1)
end

-- Tells a worker something; how many heard it.
local function publish(channel, worker, payload)
  return call("SPUBLISH", channel .. worker, payload)
end

-- Offers a session to the least loaded in `idle` other than `except`; who was told, or nil.
local function offer(idle, channel, session, except)
  local found = call("ZRANGE", idle, 0, MOST_OFFERS)
  local tried = 0
  for _, worker in ipairs(found) do
    if worker ~= except and tried < MOST_OFFERS then
      tried = tried + 1
      if publish(channel, worker, "o " .. session) > 0 then
        call("ZINCRBY", idle, ONE_SESSION, worker)
        return worker
      end
      call("ZREM", idle, worker)
    end
  end
  return nil
end

-- Writes to `out`; `writer` is empty where a door writes. The entry's id.
local function write_out(out, to, payload, session, message, writer, at)
  return call("XADD", out, "*", "to", to, "payload", payload, "session", session or "", "message", message or "", "writer", writer, "time", int(at))
end

-- Writes a dead letter.
local function write_dead(dead, session, message, reason, tries, at, body, reply_to, durability)
  call("XADD", dead, "*", "session", session or "", "message", message or "", "reason", reason, "tries", int(tries), "time", int(at), "body", body, "reply_to", reply_to or "", "durability", durability or "")
end

-- What of an inbox element is the body: all after its first line.
local function body_of(element)
  local _, header_end = string.find(element, "\n", 1, true)
  return header_end and string.sub(element, header_end + 1) or element
end

-- What an inbox element asks for over its agent's class, if its header can be read.
local function asked_by(element)
  local readable, header = pcall(cjson.decode, string.match(element, "^[^\n]*"))
  return readable and type(header) == "table" and type(header.durability) == "string" and header.durability or nil
end

-- Writes an answer to `out` for `reply_to` (unless it was pushed there) and, where the message had an id (`ids` is a
-- key), for all who asked again by it, once per list; and keeps it under that id for another day. An id that was
-- forgotten and came to stand for another message is left alone. Gives {id, to, …}.
local function answer(out, ids, session, message, reply_to, payload, writer, at, pushed)
  local written = {}
  local function write(to)
    written[#written + 1] = write_out(out, to, payload, session, message, writer, at)
    written[#written + 1] = to
  end
  if reply_to and not pushed then
    write(reply_to)
  end
  if not ids then
    return written
  end
  local fields = call("HGETALL", ids)
  local waiters = {}
  for i = 1, #fields, 2 do
    if fields[i] == "message" and fields[i + 1] ~= message then
      return written
    end
    if string.sub(fields[i], 1, 3) == "to:" then
      waiters[#waiters + 1] = fields[i]
    end
  end
  table.sort(waiters)
  for _, field in ipairs(waiters) do
    call("HDEL", ids, field)
    local to = string.sub(field, 4)
    if to ~= reply_to then
      write(to)
    end
  end
  call("HSET", ids, "message", message, "answer", payload)
  call("PEXPIRE", ids, REMEMBER_ID_MS)
  return written
end

-- What a worker serves, by its value in `workers`: `<pool>/<agent>,<agent>…`.
local function serving(lease)
  return string.match(lease, "^%d+/%d+/(.*)$") or ""
end

-- Who has a partition's duty, if anybody, and whether whoever wants it may have it.
local YIELDED = ".yielded"
local function holder_of(duty)
  local holder = call("GET", duty)
  if holder and string.sub(holder, -#YIELDED) == YIELDED then
    return string.sub(holder, 1, -#YIELDED - 1), true
  end
  return holder, false
end

-- Buries a worker: writes it down, its duty is free, and it leaves every `idle` among `KEYS` from
-- number `first` on.
local function bury(workers, duty, worker, first, at)
  call("HSET", workers, worker, "dead/" .. int(at))
  if holder_of(duty) == worker then
    call("DEL", duty)
  end
  for i = first, #KEYS do
    call("ZREM", KEYS[i], worker)
  end
end

-- Clears a session's owner, whose name stays, and the registry's word on it. `more` are further
-- fields of `meta` and their values.
local function disown(meta, own, record, at, ...)
  call("HSET", meta, "token", "", "last", worker_of(record.token), "updated", int(at), ...)
  call("DEL", own)
end

-- A session's own policy, else its agent's, which only an unfinished turn has written down.
local function policy(record)
  return record.resume or (record.unfinished and string.match(record.unfinished, "[^/]*$"))
end

-- Clears an owner that is gone: the session is orphaned if it was runnable, and suspended where
-- `SessionRecord::is_suspended_by_death`. Keeps the record as it was read up to date.
local function take_from_the_dead(meta, own, record, waiting, at)
  local time = int(at)
  local can_run = runnable(record.hold, record.backoff, record.suspended, waiting)
  record.last, record.orphaned = worker_of(record.token), can_run and time or nil
  disown(meta, own, record, at, "orphaned", can_run and time or "")
  if record.unfinished and policy(record) == "lazy" and waiting == 1 and not record.hold then
    record.suspended = time
    call("HSET", meta, "suspended", time)
  end
  record.token = nil
end

-- Accepts a message into an inbox, or says why not; what `send`, `relay` and `revive` share.
--
-- `keys`: meta inbox ids ready idle index out, and channel, the prefix of wake channels.
-- `m`: session message body pool body_limit inbox_limit, and where given id reply_to group resume durability.
-- Gives the reply, and if somebody must be told, what `tell` takes.
local function accept(keys, m, at)
  local f = call("HMGET", keys.meta, "v", "pool", "hold", "token", "given", "backoff", "last_message", "suspended")
  local known = f[1] == LAYOUT
  if not known and (f[1] or f[2] or f[5]) then
    return { "unreadable", f[1] or "" }
  end
  if m.id then
    local seen = call("HMGET", keys.ids, "message", "answer")
    if seen[1] then
      if m.reply_to and seen[2] then
        write_out(keys.out, m.reply_to, seen[2], m.session, seen[1], "", at)
      elseif m.reply_to and call("HLEN", keys.ids) - 1 < MOST_WAITERS then
        call("HSET", keys.ids, "to:" .. m.reply_to, "")
      end
      return { "repeat", seen[1], seen[2] or "" }
    end
  end
  if f[7] == m.message then
    return { "repeat", m.message, "" }
  end
  if #m.body > m.body_limit then
    return { "refused", "too_large" }
  end
  if f[3] == "stopped" then
    return { "refused", "stopped" }
  end
  local waiting = call("LLEN", keys.inbox)
  if known and waiting >= m.inbox_limit then
    return { "refused", "full" }
  end
  if known and f[2] ~= m.pool then
    return { "other_pool", f[2] }
  end

  local number = int((tonumber(f[5]) or 0) + 1)
  local time = int(at)
  local record = '{"v":1,"n":' .. number .. ',"message":"' .. m.message .. '","time":' .. time
  if m.id then
    record = record .. ',"id":' .. cjson.encode(m.id)
    call("HSET", keys.ids, "message", m.message)
    call("PEXPIRE", keys.ids, REMEMBER_ID_MS)
  end
  if m.reply_to then
    record = record .. ',"reply_to":' .. cjson.encode(m.reply_to)
  end
  if m.durability then
    record = record .. ',"durability":"' .. m.durability .. '"'
  end
  record = record .. "}\n" .. m.body
  call("RPUSH", keys.inbox, record)
  if known then
    call("HSET", keys.meta, "given", number, "last_message", m.message, "updated", time)
  else
    call("HSET", keys.meta, "v", LAYOUT, "pool", m.pool, "group", m.group or "", "given", number, "last_message", m.message, "created", time, "updated", time)
    call("ZADD", keys.index, 0, m.session)
  end
  if m.resume then
    call("HSET", keys.meta, "resume", m.resume)
  end
  local suspended = some(f[8])
  if suspended then
    call("HSET", keys.meta, "suspended", "")
  end

  local reply = { "accepted", m.message, number }
  local token = some(f[4])
  if token then
    if waiting > 0 then
      return reply
    end
    local payload = "w " .. m.session
    if #record <= WAKE_BYTES then
      payload = "m " .. m.session .. "\n" .. record
    end
    return reply, { worker = worker_of(token), payload = payload }
  end
  if runnable(f[3], f[6], nil, waiting + 1) then
    call("ZADD", keys.ready, "NX", time, m.session)
    if waiting == 0 or suspended then
      return reply, { offer = m.session }
    end
  end
  return reply
end

-- Tells whoever must know of what `accept` did; last of all, for it publishes.
local function tell(keys, notice)
  if notice and notice.offer then
    offer(keys.idle, keys.channel, notice.offer)
  elseif notice then
    publish(keys.channel, notice.worker, notice.payload)
  end
end

-- Sees to it that a session without an owner is in `ready` exactly if it is runnable.
local function settle_ready(ready, session, is_runnable, at)
  if is_runnable then
    call("ZADD", ready, "NX", int(at), session)
  else
    call("ZREM", ready, session)
  end
end
