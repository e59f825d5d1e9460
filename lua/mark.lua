#!lua flags=allow-oom
-- mark: write something, so that a WAIT behind it waits for all that came before on its connection.
--
-- KEYS   1 mark
-- Reply  {"marked"}
-- A repeat writes again.

redis.call("HSET", KEYS[1], "1", "1")
return { "marked" }
