-- Writes an operator's order again, from its audit record. Idempotent. One that stands already was carried out over what the ledger
-- had then: where leases came back since (ARGV[3] is 1) it is due once more, within the bounds that are given here, since the
-- one that stands may have none. KEYS[1] tag. ARGV[1] id, ARGV[2] the order as JSON, ARGV[3] 1 or 0. Returns 1
local key = T .. 'rev:' .. ARGV[1]
if redis.call('HGET', key, 'scanned') and ARGV[3] == '1' then
  redis.call('HSET', key, 'order', ARGV[2], 'scanned', 0)
  redis.call('PEXPIRE', key, DAY * 2)
  redis.call('ZADD', T .. 'due:revocations', now_ms(), ARGV[1])
else
  create_revocation(ARGV[1], ARGV[2], 0, now_ms())
end
return 1
