-- A worker takes a lease for 5 s; a claim not renewed for 3 s may be taken over. KEYS[1] tag. ARGV[1] lease, ARGV[2] token of this attempt
-- Returns { 'ok', now, was reserved 0|1, fields } | { 'held' } | { 'terminal' } | { 'early' }
local key = T .. 'l:' .. ARGV[1]
local now = now_ms()
local lease = redis.call('HMGET', key, 'state', 'expires', 'mint', 'by', 'until', 'rec', 'tries', 'kept', 'unanswered')
local state = lease[1]
if not state then return { 'terminal' } end
local rec = cjson.decode(lease[6])
local due = T .. 'due:' .. rec.provider
if ended_states[state] then
  -- A standing copy or an abandoned credential counts as held until its natural end (section 6). That end is now.
  if lease[8] and tonumber(lease[2]) <= now then
    redis.call('HDEL', key, 'kept')
    redis.call('ZREM', due, ARGV[1])
    count_state(rec.provider, state, nil)
    for _, holder in ipairs(rec.holders) do count_out(holder, rec) end
  elseif not lease[8] then
    redis.call('ZREM', due, ARGV[1])
  end
  return { 'terminal' }
end
if lease[4] and lease[4] ~= ARGV[2] and tonumber(lease[5]) > now + 2000 then return { 'held' } end
local early = (state == 'active' and tonumber(lease[2]) > now)
  or (state == 'failed' and tonumber(lease[2]) > now)
  or (lease[3] and tonumber(lease[3]) > now)
if early then return { 'early' } end
redis.call('HDEL', key, 'handed')
if state == 'active' then
  redis.call('HSET', key, 'state', 'revoking', 'reason', 'expired', 'actor', 'deadline', 'ending', lease[2])
elseif state == 'reserved' then
  redis.call('HSET', key, 'state', 'revoking', 'reason', 'not_activated', 'actor', 'sweeper', 'ending', now, 'unanswered', 1)
end
if state == 'active' or state == 'reserved' then
  count_state(rec.provider, state, 'revoking')
  should_be_dead(rec.provider, ARGV[1], math.min(now, tonumber(lease[2])))
end
local tries = (tonumber(lease[7]) or 0) + (lease[4] ~= ARGV[2] and 1 or 0)
redis.call('HSET', key, 'by', ARGV[2], 'until', now + 5000, 'tries', tries)
redis.call('ZADD', due, now + 3000, ARGV[1])
return { 'ok', now, (state == 'reserved' or lease[9]) and 1 or 0, redis.call('HGETALL', key) }
