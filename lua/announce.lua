#!lua flags=allow-oom
-- announce: show a worker to everybody for a while, and forget members whose time is over.
--
-- KEYS   1 members  2 alive (worker)  3… alive of other members
-- ARGV   1 worker   2 its JSON   3 for how long, in ms   4… those other members, in order
-- Reply  how many were forgotten
-- A repeat shows it again.

local forgotten = 0
for i = 4, #ARGV do
  if call("EXISTS", KEYS[i - 1]) == 0 then
    forgotten = forgotten + call("HDEL", KEYS[1], ARGV[i])
  end
end
call("HSET", KEYS[1], ARGV[1], ARGV[2])
call("SET", KEYS[2], "1", "PX", ARGV[3])
return forgotten
