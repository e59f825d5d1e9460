#!lua flags=allow-oom
-- retire: take a worker off the list.
--
-- KEYS   1 members  2 alive (worker)
-- ARGV   1 worker
-- Reply  1, or 0 if it was not on the list
-- A repeat is 0.

call("DEL", KEYS[2])
return call("HDEL", KEYS[1], ARGV[1])
