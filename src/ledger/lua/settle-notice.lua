-- What became of a try. Must run out of memory: its first write is HDEL. KEYS[1] tag.
-- ARGV[1] notice, ARGV[2] '' (delivered) or why not, ARGV[3] ms until the next try or '' (none follows)
local key = T .. 'n:' .. ARGV[1]
local now = now_ms()
redis.call('HDEL', key, '')
if ARGV[2] == '' then
  redis.call('HDEL', T .. 'noticing', 'error', 'at')
else
  redis.call('HSET', T .. 'noticing', 'error', ARGV[2], 'at', now)
end
if redis.call('HGET', key, 'body') and ARGV[3] ~= '' then
  redis.call('ZADD', T .. 'due:notices', now + tonumber(ARGV[3]), ARGV[1])
else
  -- That it was sent stays known for a while, so that it is not sent again.
  redis.call('HDEL', key, 'body')
  redis.call('ZREM', T .. 'due:notices', ARGV[1])
end
return 'ok'
