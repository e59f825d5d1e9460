#!lua flags=no-writes,allow-oom
-- look: one session as it stands, to be shown. A transaction would do, but a full server takes none.
--
-- KEYS   1 meta  2 in
-- Reply  {{meta's fields and values}, messages in the inbox}; {{}, 0, key} where somebody set another type at that key
-- A repeat looks again.

local meta, waiting = redis.pcall("HGETALL", KEYS[1]), redis.pcall("LLEN", KEYS[2])
for key, said in pairs({ meta, waiting }) do
  if type(said) == "table" and said.err then
    if not string.find(said.err, "WRONGTYPE", 1, true) then
      return said
    end
    return { {}, 0, KEYS[key] }
  end
end
return { meta, waiting }
