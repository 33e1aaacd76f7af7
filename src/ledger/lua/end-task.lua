-- Closes a task; nothing is issued in it or below it from here on. Its leases are ended by the caller; until that is done it
-- stays due. KEYS[1] tag. ARGV[1] task, ARGV[2] outcome. Returns { 'not_found' } | { 0|1 ended now, child, … }
local key = T .. 't:' .. ARGV[1]
local state = redis.call('HGET', key, 'state')
if not state then return { 'not_found' } end
local now = now_ms()
local first = 0
redis.call('HDEL', key, '')
if state == 'open' then
  local rec = cjson.decode(redis.call('HGET', key, 'rec'))
  for _, holder in ipairs(rec.holders) do
    if holder[2] == 'account' then redis.call('SREM', T .. 'h:' .. holder[1] .. ':t', ARGV[1]) end
  end
  redis.call('HSET', key, 'state', 'ended', 'outcome', ARGV[2], 'ended', now)
  redis.call('ZADD', T .. 'due:tasks', now + 2000, ARGV[1])
  first = 1
end
return { first, unpack(redis.call('SMEMBERS', key .. ':c')) }
