-- Keeps a claim while its worker is at it. KEYS[1] tag. ARGV[1] lease, ARGV[2] token. Returns 1 | 0 (lost)
local key = T .. 'l:' .. ARGV[1]
if redis.call('HGET', key, 'by') ~= ARGV[2] then return 0 end
local now = now_ms()
-- First a write that runs out of memory: a claim lost for want of 5 bytes would have the work done twice.
redis.call('HDEL', key, '')
redis.call('HSET', key, 'until', now + 5000)
redis.call('ZADD', T .. 'due:' .. cjson.decode(redis.call('HGET', key, 'rec')).provider, now + 3000, ARGV[1])
return 1
