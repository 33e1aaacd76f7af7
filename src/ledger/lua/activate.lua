-- The credential exists: from here on its lease is active until its deadline. KEYS[1] tag.
-- ARGV[1] lease, ARGV[2] sealed handle, ARGV[3] what is known of it now (JSON), ARGV[4] JSON [lock target]
-- Returns { 'ok', issued_at } | { 'state' } | { 'late' } | { 'closed' } | { 'locked' }; refused, the handle is kept all the same.
local key = T .. 'l:' .. ARGV[1]
local now = now_ms()
local lease = redis.call('HMGET', key, 'state', 'expires', 'rec')
if not lease[1] or ended_states[lease[1]] then return { 'state' } end
local rec = cjson.decode(lease[3])
local refused = nil
-- What ended it comes before that it is ending: the caller is told why.
if lease[1] ~= 'active' and closed_task(rec.chain, now) then
  refused = 'closed'
elseif lease[1] ~= 'active' and locked_target(cjson.decode(ARGV[4])) then
  refused = 'locked'
elseif lease[1] ~= 'reserved' then
  refused = 'state'
elseif tonumber(lease[2]) <= now then
  refused = 'late'
end
if refused then
  redis.call('HSET', key, 'handle', ARGV[2], 'out', ARGV[3])
  return { refused }
end
redis.call('HSET', key, 'handle', ARGV[2], 'out', ARGV[3], 'state', 'active', 'issued', now)
redis.call('HDEL', key, 'mint')
count_state(rec.provider, 'reserved', 'active')
redis.call('ZADD', T .. 'due:' .. rec.provider, tonumber(lease[2]), ARGV[1])
return { 'ok', now }
