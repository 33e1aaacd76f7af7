-- Takes one lock away; another one on the same target stands. KEYS[1] tag. ARGV[1] lock.
-- Returns its record as stored, or nil when there is none (any more)
redis.call('ZREM', T .. 'due:locks', ARGV[1])
local stored = redis.call('HGET', T .. 'locks', ARGV[1])
if not stored then return nil end
local name = cjson.decode(stored).name
redis.call('HDEL', T .. 'locks', ARGV[1])
if redis.call('HINCRBY', T .. 'locked', name, -1) <= 0 then redis.call('HDEL', T .. 'locked', name) end
local left = {}
for id in string.gmatch(redis.call('HGET', T .. 'lockers', name) or '', '[^,]+') do
  if id ~= ARGV[1] then left[#left + 1] = id end
end
if #left > 0 then
  redis.call('HSET', T .. 'lockers', name, table.concat(left, ','))
else
  redis.call('HDEL', T .. 'lockers', name)
end
return stored
