-- The time of an approval is up, or (ARGV[2]) nobody is to answer it. It stays due until its end is written down. KEYS[1] tag.
-- ARGV[1] approval, ARGV[2] why it ends before its time, or ''. Returns 'expired' | 'over' | 'early'
local key = T .. 'a:' .. ARGV[1]
local now = now_ms()
local rec, state, expires = unpack(redis.call('HMGET', key, 'rec', 'state', 'expires'))
if not rec or state == 'denied' or state == 'used' then
  redis.call('ZREM', T .. 'due:approvals', ARGV[1])
  return 'over'
end
if state == 'expired' then return 'expired' end
if tonumber(expires) > now and ARGV[2] == '' then
  redis.call('ZADD', T .. 'due:approvals', expires, ARGV[1])
  return 'early'
end
redis.call('HDEL', key, '')
local task = redis.call('HGET', T .. 't:' .. cjson.decode(rec).bound.task, 'rec')
local asker = task and cjson.decode(task) or { holders = {} }
for _, holder in ipairs(asker.holders) do
  if holder[2] == 'account' then redis.call('ZREM', T .. 'h:' .. holder[1] .. ':a', ARGV[1]) end
end
-- One that was not asked at all was no question to anybody.
if state == 'pending' and ARGV[2] == '' then count_unanswered(asker, ARGV[1], now) end
redis.call('HSET', key, 'state', 'expired', 'why', ARGV[2] == '' and 'time' or ARGV[2])
redis.call('PUBLISH', T .. 'settled', ARGV[1])
return 'expired'
