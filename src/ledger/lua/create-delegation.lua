-- Writes a delegation that nobody has used yet. KEYS[1] tag. ARGV[1] delegation, ARGV[2] its record, ARGV[3] ttl ms,
-- ARGV[4] most that may wait for one task, ARGV[5] account whose rate is counted or '', ARGV[6] requests per minute
-- Returns { 'ok', expires } | { 'closed' } | { 'quota' } | { 'rate', ms }
local now = now_ms()
local rec = cjson.decode(ARGV[2])
if ARGV[5] ~= '' then
  local wait = count_request(ARGV[5], tonumber(ARGV[6]), now)
  if wait > 0 then return { 'rate', wait } end
end
local closed, nearest = closed_task(rec.chain, now)
if closed then return { 'closed' } end
local expires = math.min(now + tonumber(ARGV[3]), nearest)
local waiting = T .. 't:' .. rec.task .. ':d'
-- An unbounded number of keys is a future outage: those that wait are counted by task.
if redis.call('ZCOUNT', waiting, now, '+inf') >= tonumber(ARGV[4]) then return { 'quota' } end
local key = T .. 'd:' .. ARGV[1]
redis.call('HSET', key, 'rec', ARGV[2], 'expires', expires)
redis.call('PEXPIRE', key, expires - now)
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
redis.call('ZADD', waiting, expires, ARGV[1])
keep(waiting, expires - now)
return { 'ok', expires }
