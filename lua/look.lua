#!lua flags=no-writes,allow-oom
-- look: one session as it stands, to be shown. A transaction would do, but a full server takes none.
--
-- KEYS   1 meta  2 in
-- Reply  {{meta's fields and values}, messages in the inbox}; and the key at which somebody set another type, of which
--        nothing else is given
-- A repeat looks again.

local meta, waiting = redis.pcall("HGETALL", KEYS[1]), redis.pcall("LLEN", KEYS[2])
for _, said in ipairs({ meta, waiting }) do
  if type(said) == "table" and said.err and not string.find(said.err, "WRONGTYPE", 1, true) then
    return said
  end
end
if meta.err then
  return { {}, 0, KEYS[1] }
elseif type(waiting) == "table" then
  return { meta, 0, KEYS[2] }
end
return { meta, waiting }
