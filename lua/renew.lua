#!lua flags=allow-oom
-- renew: set a worker's deadline in a partition one lease from now; join, where it is fresh.
--
-- KEYS   1 workers  2 duty  3… idle of each agent it serves, those with room first
-- ARGV   1 worker   2 lease in ms   3 how: join | renew   4 load in thousandths, or empty for no room
--        5 duty: take | leave | yield | give_up   6 what it serves: <pool>/<agent>,<agent>…
--        7 how many of those agents have room
-- Reply  {"renewed", server time in ms, holder of the duty or "", workers within their deadline}
--        {"lost"}: it is buried, or never joined
-- Deadlines further away than their own lease (the clock went back) are cut to that.
-- A repeat renews.

local workers, duty, worker, lease = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local at = now()
local known = call("HGET", workers, worker)
if gone(known) and (known or ARGV[3] ~= "join") then
  return { "lost" }
end
call("HSET", workers, worker, int(at + tonumber(lease)) .. "/" .. lease .. "/" .. ARGV[6])
for i = 3, #KEYS do
  if ARGV[4] == "" or i - 2 > tonumber(ARGV[7]) then
    call("ZREM", KEYS[i], worker)
  else
    call("ZADD", KEYS[i], ARGV[4], worker)
  end
end

-- Before the duty is looked at: a dead holder's deadline must not lie where the clock was once.
local alive, leases = 0, call("HGETALL", workers)
for i = 1, #leases, 2 do
  local value = leases[i + 1]
  if not gone(value) and standing(cut(workers, leases[i], value, at), at) == "alive" then
    alive = alive + 1
  end
end

local holder, yielded = holder_of(duty)
if ARGV[5] == "take" and (not holder or yielded or standing(call("HGET", workers, holder), at) ~= "alive") then
  call("SET", duty, worker)
  holder = worker
elseif holder == worker and ARGV[5] == "give_up" then
  call("DEL", duty)
  holder = false
elseif holder == worker and yielded ~= (ARGV[5] == "yield") then
  call("SET", duty, yielded and worker or worker .. YIELDED)
end
return { "renewed", int(at), holder or "", alive }
