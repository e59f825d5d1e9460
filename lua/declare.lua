#!lua flags=allow-oom
-- declare: make known how an agent is served, unless members that are alive serve it in another pool, its home until now.
--
-- KEYS   1 agents  2 members  3… alive of other members
-- ARGV   1 agent   2 how, as JSON   3 its pool   4 the worker that declares   5… those other members, in order
-- Reply  "declared", how it was served until now, as JSON; nil if it was not known
--        "elsewhere", how it is served, workers…: they serve it there; nothing was changed
--        "unnamed", workers…: they may serve it there, and were not named; nothing was changed, ask again with them too
-- A repeat declares the same, and is told that.

-- What cannot be read says nothing.
local function readable(json)
  local fine, row = pcall(cjson.decode, json)
  return fine and type(row) == "table" and row or {}
end

local function serves(member, pool, agent)
  if member.pool ~= pool or type(member.agents) ~= "table" then
    return false
  end
  for _, name in ipairs(member.agents) do
    if name == agent then
      return true
    end
  end
  return false
end

-- The members that serve the agent in that pool: those that are alive, and those whose key was not named.
local function serving(pool)
  local alive, unnamed, named = {}, {}, {}
  for i = 5, #ARGV do
    named[ARGV[i]] = KEYS[i - 2]
  end
  local members = call("HGETALL", KEYS[2])
  for i = 1, #members, 2 do
    local worker = members[i]
    if worker ~= ARGV[4] and serves(readable(members[i + 1]), pool, ARGV[1]) then
      if not named[worker] then
        table.insert(unnamed, worker)
      elseif call("EXISTS", named[worker]) == 1 then
        table.insert(alive, worker)
      end
    end
  end
  return alive, unnamed
end

local before = call("HGET", KEYS[1], ARGV[1])
local home = before and readable(before).pool
if home and home ~= ARGV[3] then
  local alive, unnamed = serving(home)
  if #unnamed > 0 then
    return { "unnamed", unpack(unnamed) }
  end
  if #alive > 0 then
    return { "elsewhere", before, unpack(alive) }
  end
end
call("HSET", KEYS[1], ARGV[1], ARGV[2])
return { "declared", before }
