-- Closes a task; nothing is issued in it or below it from here on. Its leases are ended by the caller; until that is done and
-- written down it stays due, and whoever looks next carries on. KEYS[1] tag. ARGV[1] task, ARGV[2] outcome, ARGV[3] 1: only if its
-- heartbeat is still missing, since one may have come after it was found to be.
-- Returns { 'not_found' } | { 'heard' } | { 0|1 its end is still to be carried through, outcome, { child, … } }
local key = T .. 't:' .. ARGV[1]
local state, outcome = unpack(redis.call('HMGET', key, 'state', 'outcome'))
if not state then
  redis.call('ZREM', T .. 'due:tasks', ARGV[1])
  return { 'not_found' }
end
local now = now_ms()
local unfinished = 0
if state == 'open' and ARGV[3] == '1' then
  local beat, beaten, expires = unpack(redis.call('HMGET', key, 'beat', 'beaten', 'expires'))
  if beat and tonumber(beaten) + tonumber(beat) > now and tonumber(expires) > now then return { 'heard' } end
end
redis.call('HDEL', key, '')
if state == 'open' then
  local rec = cjson.decode(redis.call('HGET', key, 'rec'))
  for _, holder in ipairs(rec.holders) do
    if holder[2] == 'account' then redis.call('SREM', T .. 'h:' .. holder[1] .. ':t', ARGV[1]) end
  end
  -- Nobody's answer matters any more; the sweeper writes that down.
  local asked = redis.call('HGETALL', key .. ':a')
  for i = 2, #asked, 2 do
    local approval = T .. 'a:' .. asked[i]
    local was = redis.call('HGET', approval, 'state')
    if was == 'pending' or was == 'approved' then
      for _, holder in ipairs(rec.holders) do
        if holder[2] == 'account' then redis.call('ZREM', T .. 'h:' .. holder[1] .. ':a', asked[i]) end
      end
      if was == 'pending' then count_unanswered(rec, asked[i], now) end
      redis.call('HSET', approval, 'state', 'expired', 'why', 'task_ended')
      redis.call('ZADD', T .. 'due:approvals', now, asked[i])
      redis.call('PUBLISH', T .. 'settled', asked[i])
    end
  end
  outcome = ARGV[2]
  redis.call('HSET', key, 'state', 'ended', 'outcome', outcome, 'ended', now)
  redis.call('ZADD', T .. 'due:tasks', now + 2000, ARGV[1])
  unfinished = 1
elseif redis.call('ZSCORE', T .. 'due:tasks', ARGV[1]) then
  unfinished = 1
end
-- As one list: some 8,000 values are all that Lua hands back one by one, and a caller opens as many children as it likes.
return { unfinished, outcome, redis.call('SMEMBERS', key .. ':c') }
