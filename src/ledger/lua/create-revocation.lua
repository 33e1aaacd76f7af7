-- Writes an operator's order so that a worker finds it, whatever happens to the broker that took it. An incident does not
-- wait for memory: its first write is HDEL. KEYS[1] tag.
-- ARGV[1] id, ARGV[2] the order as JSON, ARGV[3] how many leases matched. Returns 1
local now = now_ms()
redis.call('HDEL', T .. 'locked', '')
redis.call('HSET', T .. 'rev:' .. ARGV[1], 'order', ARGV[2], 'matched', ARGV[3], 'done', 0, 'failed', 0, 'scanned', 0, 'at', now)
redis.call('PEXPIRE', T .. 'rev:' .. ARGV[1], DAY * 2)
redis.call('ZADD', T .. 'due:revocations', now, ARGV[1])
return 1
