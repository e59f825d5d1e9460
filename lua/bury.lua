#!lua flags=allow-oom
-- bury: declare a worker dead in a partition.
--
-- KEYS   1 workers  2 duty  3… idle of all that it serves
-- ARGV   1 worker   2 ground: overdue | lifeline | own_wish   3 what it serves, as far as the caller knows
--        4 channel   5 overdue: how late it may be for that to count, in ms, or empty
-- Reply  {"buried"}   {"alive"}   {"unknown"}
--        {"later"}: the clock is further on than the caller reckons, and may have been set; nothing was changed
--        {"serves", what it serves}: nothing was changed; again, with those idle sets
-- A repeat is {"buried"}. Unless it was its own wish the worker is told, once.

local at = now()
local lease = call("HGET", KEYS[1], ARGV[1])
local stands = standing(lease, at)
if stands == "unknown" or stands == "buried" then
  return { stands }
end
if stands == "alive" and ARGV[2] == "overdue" then
  return { "alive" }
end
if ARGV[2] == "overdue" and at > (tonumber(ARGV[5]) or at) then
  return { "later" }
end
if serving(lease) ~= ARGV[3] then
  return { "serves", serving(lease) }
end
bury(KEYS[1], KEYS[2], ARGV[1], 3, at)
if ARGV[2] ~= "own_wish" then
  publish(ARGV[4], ARGV[1], "b " .. ARGV[1])
end
return { "buried" }
