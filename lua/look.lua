#!lua flags=no-writes,allow-oom
-- look: one session as it stands, to be shown. A transaction would do, but a full server takes none.
--
-- KEYS   1 meta  2 in
-- Reply  {{meta's fields and values}, messages in the inbox}
-- A repeat looks again.

return { call("HGETALL", KEYS[1]), call("LLEN", KEYS[2]) }
