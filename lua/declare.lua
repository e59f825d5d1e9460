#!lua flags=allow-oom
-- declare: make known how an agent is served.
--
-- KEYS   1 agents
-- ARGV   1 agent   2 how, as JSON
-- Reply  1 if it was not known, else 0
-- A repeat declares the same.

return call("HSET", KEYS[1], ARGV[1], ARGV[2])
