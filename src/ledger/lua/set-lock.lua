-- Locks a target, and in the same step orders what it has to end: a broker that dies right after leaves both to a worker. An
-- incident does not wait for memory: its first write is HDEL. KEYS[1] tag.
-- ARGV[1] lock, ARGV[2] target's name, ARGV[3] its record as JSON without times, ARGV[4] expires at ms or '', ARGV[5] lasts ms or '',
-- ARGV[6] most locks there may be, ARGV[7] order's id, ARGV[8] the order as JSON
-- Returns { 'ok', created_at, expires_at or '' } | { 'past' } | { 'full' }
local now = now_ms()
local expires = tonumber(ARGV[4]) or (ARGV[5] ~= '' and now + tonumber(ARGV[5])) or nil
if expires and expires <= now then return { 'past' } end
if redis.call('HLEN', T .. 'locks') >= tonumber(ARGV[6]) then return { 'full' } end
redis.call('HDEL', T .. 'locked', '')
if redis.call('HSETNX', T .. 'locks', ARGV[1], cjson.encode({ name = ARGV[2], lock = ARGV[3], at = now, expires = expires })) == 1 then
  redis.call('HINCRBY', T .. 'locked', ARGV[2], 1)
  local by = redis.call('HGET', T .. 'lockers', ARGV[2])
  redis.call('HSET', T .. 'lockers', ARGV[2], by and (by .. ',' .. ARGV[1]) or ARGV[1])
  if expires then redis.call('ZADD', T .. 'due:locks', expires, ARGV[1]) end
end
create_revocation(ARGV[7], ARGV[8], 0, now)
return { 'ok', now, expires or '' }
