-- Writes what came of an attempt to end a lease. Only shrinks: its first write is HDEL. KEYS[1] tag.
-- ARGV[1] lease, ARGV[2] token, ARGV[3] new state, ARGV[4] receipt JSON, ARGV[5] look again at ms or '', ARGV[6] owed 0|1,
-- ARGV[7] channel, ARGV[8] 1: it was no attempt. Returns 1 | 0 (the claim was lost: somebody else's answer stands)
local key = T .. 'l:' .. ARGV[1]
local lease = redis.call('HMGET', key, 'by', 'rec', 'expires', 'state', 'rev', 'tries')
if lease[1] ~= ARGV[2] or ended_states[lease[4]] then return 0 end
local now = now_ms()
local rec = cjson.decode(lease[2])
local due = T .. 'due:' .. rec.provider
local state = ARGV[3]
redis.call('HDEL', key, 'by', 'until', 'mint', 'handed')
if ARGV[8] == '1' and (tonumber(lease[6]) or 0) > 0 then redis.call('HINCRBY', key, 'tries', -1) end
if ended_states[state] then
  redis.call('ZREM', due, ARGV[1])
  local kept = (state == 'released' or state == 'abandoned') and tonumber(lease[3]) > now
  if kept then
    redis.call('ZADD', due, tonumber(lease[3]), ARGV[1])
    redis.call('HSET', key, 'kept', 1)
  else
    for _, holder in ipairs(rec.holders) do count_out(holder, rec) end
  end
  count_state(rec.provider, lease[4], kept and state or nil)
  should_be_dead(rec.provider, ARGV[1], nil)
  if state == 'void' then
    for _, holder in ipairs(rec.holders) do take_back(holder, rec, ARGV[1]) end
    if rec.capacity then redis.call('ZREM', T .. 'cap:' .. rec.provider .. ':' .. rec.capacity, ARGV[1]) end
  end
  redis.call('HSET', key, 'state', state, 'receipt', ARGV[4], 'ended', now)
  -- With it goes what its record is written from, and the audit may be away for longer than a day.
  local remembered = ARGV[6] == '1' and 30 * DAY or DAY
  redis.call('PEXPIRE', key, math.max(remembered, tonumber(lease[3]) - now + DAY))
  count_off_task(rec.chain[1])
else
  redis.call('ZADD', due, tonumber(ARGV[5]), ARGV[1])
  redis.call('HSET', key, 'state', state, 'receipt', ARGV[4])
  count_state(rec.provider, lease[4], state)
  -- What cannot be ended early is not late before its natural end.
  if cjson.decode(ARGV[4]).outcome == 'expires_at' then should_be_dead(rec.provider, ARGV[1], tonumber(ARGV[5])) end
end
if (state == 'failed') ~= (lease[4] == 'failed') then count_orders(lease[5], 'failed', state == 'failed' and 1 or -1) end
-- An order is through with a lease when it ended or when all that can be done is to wait for its natural end.
if ended_states[state] or cjson.decode(ARGV[4]).outcome == 'expires_at' then
  if redis.call('HSETNX', key, 'answered', 1) == 1 then count_orders(lease[5], 'done', 1) end
end
if ARGV[6] == '1' then redis.call('ZADD', T .. 'owed', now, ARGV[1]) end
redis.call('PUBLISH', ARGV[7], ARGV[1])
return 1
