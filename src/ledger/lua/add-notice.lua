-- Somebody outside is to be told something, once. KEYS[1] tag. ARGV[1] notice, ARGV[2] what is sent, ARGV[3] how many may wait.
-- Returns 'ok' | 'again' (waits, or was sent within two days) | 'full'
local key = T .. 'n:' .. ARGV[1]
if redis.call('EXISTS', key) == 1 then return 'again' end
if redis.call('ZCARD', T .. 'due:notices') >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', key, 'body', ARGV[2], 'tries', 0)
redis.call('PEXPIRE', key, 2 * DAY)
redis.call('ZADD', T .. 'due:notices', now_ms(), ARGV[1])
return 'ok'
