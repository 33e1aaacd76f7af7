-- An operator closes a failed revocation: nobody tries any more. Its credential counts as held until its natural end, since
-- nobody has seen it dead. Its first write is HDEL. KEYS[1] tag. ARGV[1] lease, ARGV[2] actor, ARGV[3] channel.
-- Returns { 'ok', at } | { 'state', state or '' }
local key = T .. 'l:' .. ARGV[1]
local lease = redis.call('HMGET', key, 'state', 'rec', 'expires', 'rev')
if lease[1] ~= 'failed' then return { 'state', lease[1] or '' } end
local now = now_ms()
local rec = cjson.decode(lease[2])
local due = T .. 'due:' .. rec.provider
local natural_end = tonumber(lease[3])
redis.call('HDEL', key, 'by', 'until', 'mint', 'handed')
if natural_end > now then
  redis.call('ZADD', due, natural_end, ARGV[1])
  redis.call('HSET', key, 'kept', 1)
else
  redis.call('ZREM', due, ARGV[1])
  for _, holder in ipairs(rec.holders) do count_out(holder, rec) end
end
count_state(rec.provider, 'failed', natural_end > now and 'abandoned' or nil)
should_be_dead(rec.provider, ARGV[1], nil)
local receipt = cjson.encode({ outcome = 'failed', evidence = 'none', at = now })
redis.call('HSET', key, 'state', 'abandoned', 'reason', 'abandoned', 'actor', ARGV[2], 'receipt', receipt, 'ended', now)
redis.call('PEXPIRE', key, math.max(DAY, natural_end - now + DAY))
count_off_task(rec.chain[1])
count_orders(lease[4], 'failed', -1)
if redis.call('HSETNX', key, 'answered', 1) == 1 then count_orders(lease[4], 'done', 1) end
redis.call('PUBLISH', ARGV[3], ARGV[1])
return { 'ok', now }
