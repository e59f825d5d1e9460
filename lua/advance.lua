#!lua flags=allow-oom
-- advance: make a plain door give only ids greater than one from now on.
--
-- KEYS   1 the door, ingress or ingress:<n>
-- ARGV   1 id   2 its milliseconds   3 its number within them
-- Reply  the last id that the stream gave
-- A repeat, or an id that was passed already, changes nothing.

if call("EXISTS", KEYS[1]) == 0 then
  if ARGV[1] ~= "0-0" then
    call("XADD", KEYS[1], ARGV[1], "advance", "")
    call("XDEL", KEYS[1], ARGV[1])
  end
  return ARGV[1]
end
local info = call("XINFO", "STREAM", KEYS[1])
local last = "0-0"
for i = 1, #info, 2 do
  if info[i] == "last-generated-id" then
    last = info[i + 1]
  end
end
local millis, seq = string.match(last, "^(%d+)-(%d+)$")
millis, seq = tonumber(millis), tonumber(seq)
local to_millis, to_seq = tonumber(ARGV[2]), tonumber(ARGV[3])
if to_millis > millis or (to_millis == millis and to_seq > seq) then
  call("XSETID", KEYS[1], ARGV[1])
  return ARGV[1]
end
return last
