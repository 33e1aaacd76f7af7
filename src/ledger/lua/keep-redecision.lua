-- Says that the judging goes on. Must run out of memory: its first write is HDEL. KEYS[1] tag. ARGV[1] hash, ARGV[2] token.
-- Returns 1 | 0: it is another's now, or the rules have changed
local key = T .. 'rules'
local was = redis.call('HMGET', key, 'current', 'token')
if was[1] ~= ARGV[1] or was[2] ~= ARGV[2] then return 0 end
redis.call('HDEL', key, 'none')
redis.call('HSET', key, 'held', now_ms() + 10000)
return 1
