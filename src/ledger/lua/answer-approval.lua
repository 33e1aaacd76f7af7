-- One person's answer. A denial only shrinks: its first write is ZREM. KEYS[1] tag. ARGV[1] approval,
-- ARGV[2] JSON { answers, person, vote, state, locks, cooldownKey, cooldownMs, flagKey }, ARGV[3] the vote as it is stored
-- Returns { 'ok' } | { 'again' } | { 'version' } | { 'not_found' } | { 'late', state } | { 'locked', target }
local a = cjson.decode(ARGV[2])
local now = now_ms()
local key = T .. 'a:' .. ARGV[1]
local rec, state, expires, answers = unpack(redis.call('HMGET', key, 'rec', 'state', 'expires', 'n'))
if not rec then return { 'not_found' } end
local mine = redis.call('HGET', key, 'v:' .. a.person)
-- The same answer once more may be the one that is enough by now: who counts can have changed since.
if mine and cjson.decode(mine).vote == a.vote and a.state == state then return { 'again' } end
if state ~= 'pending' then return { 'late', state } end
local bound = cjson.decode(rec).bound
if tonumber(expires) <= now or closed_task(bound.chain, now) then return { 'late', 'expired' } end
if a.state ~= 'denied' then
  local locked = locked_target(a.locks)
  if locked then return { 'locked', locked } end
end
if (answers or '0') ~= a.answers then return { 'version' } end

local holders = cjson.decode(redis.call('HGET', T .. 't:' .. bound.task, 'rec')).holders
if a.state ~= 'pending' then
  for _, holder in ipairs(holders) do
    if holder[2] == 'account' then redis.call('ZREM', T .. 'h:' .. holder[1] .. ':a', ARGV[1]) end
  end
end
if a.state == 'denied' then
  redis.call('ZREM', T .. 'due:approvals', ARGV[1])
  redis.call('HSET', key, 'why', 'voted')
  if a.cooldownMs > 0 then
    redis.call('SET', T .. 'ac:' .. a.cooldownKey, 1, 'PX', a.cooldownMs)
    redis.call('HINCRBY', T .. 'an:' .. a.flagKey, 'n', 1)
    redis.call('PEXPIRE', T .. 'an:' .. a.flagKey, a.cooldownMs)
  end
  redis.call('SET', T .. 'ad:' .. a.flagKey, 1, 'PX', DAY)
end
redis.call('HSET', key, 'v:' .. a.person, ARGV[3], 'state', a.state)
redis.call('HINCRBY', key, 'n', 1)
redis.call('PUBLISH', T .. 'settled', ARGV[1])
return { 'ok' }
