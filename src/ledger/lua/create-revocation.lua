-- Writes an operator's order so that a worker finds it, whatever happens to the broker that took it. An incident does not
-- wait for memory: its first write is HDEL. KEYS[1] tag.
-- ARGV[1] id, ARGV[2] the order as JSON, ARGV[3] how many leases matched. Returns 1
redis.call('HDEL', T .. 'locked', '')
create_revocation(ARGV[1], ARGV[2], ARGV[3], now_ms())
return 1
