-- Whoever carries an order out says each second that it still does: until 5 s after the last time nobody else begins it anew. KEYS[1] tag.
-- ARGV[1] id. Returns 1
redis.call('HDEL', T .. 'locked', '')
redis.call('ZADD', T .. 'due:revocations', 'XX', now_ms() + 5000, ARGV[1])
return 1
