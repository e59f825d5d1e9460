#!lua flags=allow-oom
-- declare: make known how an agent is served.
--
-- KEYS   1 agents
-- ARGV   1 agent   2 how, as JSON
-- Reply  how it was served until now, as JSON; nil if it was not known
-- A repeat declares the same, and is told that.

local before = call("HGET", KEYS[1], ARGV[1])
call("HSET", KEYS[1], ARGV[1], ARGV[2])
return before
