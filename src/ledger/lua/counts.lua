-- How many leases there are, by provider and state, and how late the latest end is. Reads what every step kept up: a few calls
-- per provider however many leases there are. KEYS[1] tag. ARGV providers.
-- Returns { now, { { provider, oldest overdue since ms or '', { state, count, … } }, … }, ends whose record is owed }
local now = now_ms()
local answer = {}
for i, provider in ipairs(ARGV) do
  local due = T .. 'due:' .. provider
  local oldest = redis.call('ZRANGE', T .. 'ending:' .. provider, 0, 0, 'WITHSCORES')[2]
  -- Past its time and seen by nobody yet: no worker sweeps.
  local unseen = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
  local since = math.min(tonumber(oldest or now), tonumber(unseen or now))
  local late = since < now and string.format('%.0f', since) or ''
  answer[i] = { provider, late, redis.call('HGETALL', T .. 'n:' .. provider) }
end
return { now, answer, redis.call('ZCARD', T .. 'owed') }
