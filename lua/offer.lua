#!lua flags=allow-oom
-- offer: offer a session that is in ready to the least loaded worker.
--
-- KEYS   1 ready (pool, agent)  2 idle (pool, agent)
-- ARGV   1 session   2 whom not to tell, or empty   3 channel
-- Reply  {"told", worker}   {"nobody"}   {"gone"}
-- A repeat offers again.

if not call("ZSCORE", KEYS[1], ARGV[1]) then
  return { "gone" }
end
local told = offer(KEYS[2], ARGV[3], ARGV[1], some(ARGV[2]))
if told then
  return { "told", told }
end
return { "nobody" }
