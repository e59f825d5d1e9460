#!lua flags=allow-oom
-- configure: make these the namespace's settings if it has none.
--
-- KEYS   1 conf
-- ARGV   1 settings, as JSON
-- Reply  the settings that the namespace has now
-- A repeat gets the same.

call("HSETNX", KEYS[1], "settings", ARGV[1])
return call("HGET", KEYS[1], "settings")
