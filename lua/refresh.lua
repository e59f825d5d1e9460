#!lua flags=allow-oom
-- refresh: the slow round's look at one session. Lengthens own, and sets it again if it is missing.
--
-- KEYS   1 meta  2 own  3 in
-- ARGV   1 token   2 TTL of own in ms   3 page
-- Reply  {"held", {meta's fields and values}, mail…}   {"fenced"}   {"unreadable", layout version}
-- A repeat does the same again.

local record, unreadable = read(KEYS[1])
if unreadable then
  return unreadable
end
if not record or record.token ~= ARGV[1] then
  return { "fenced" }
end
call("SET", KEYS[2], ARGV[1], "PX", ARGV[2])
return { "held", call("HGETALL", KEYS[1]), unpack(mail(KEYS[3], tonumber(ARGV[3]))) }
