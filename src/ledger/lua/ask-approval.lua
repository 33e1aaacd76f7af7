-- Asks people, or finds the approval that the same request already has. KEYS[1] tag.
-- ARGV[1] JSON { approval, bound, chain, account, ttlMs, pending, cooldown, flag, locks }, ARGV[2] its record
-- Returns { 'ok' | 'again', approval, fields } | { 'closed' } | { 'locked', target } | { 'denied' | 'quota', ms to wait }
local a = cjson.decode(ARGV[1])
local now = now_ms()
local closed, nearest = closed_task(a.chain, now)
if closed then return { 'closed' } end
local locked = locked_target(a.locks)
if locked then return { 'locked', locked } end
local asked = T .. 't:' .. a.chain[1] .. ':a'
local prior = redis.call('HGET', asked, a.bound)
if prior then
  local was = redis.call('HMGET', T .. 'a:' .. prior, 'state', 'expires')
  if (was[1] == 'pending' or was[1] == 'approved') and tonumber(was[2]) > now then
    return { 'again', prior, redis.call('HGETALL', T .. 'a:' .. prior) }
  end
end
local cooling = redis.call('PTTL', T .. 'ac:' .. a.cooldown)
-- Denied three times, with whatever was declared: another branch name is no other question.
local denials = T .. 'an:' .. a.flag
if tonumber(redis.call('HGET', denials, 'n') or 0) >= 3 then cooling = math.max(cooling, redis.call('PTTL', denials)) end
if cooling > 0 then return { 'denied', cooling } end
local waiting = T .. 'h:' .. a.account .. ':a'
if redis.call('ZCOUNT', waiting, '(' .. now, '+inf') >= a.pending then
  local first = redis.call('ZRANGEBYSCORE', waiting, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return { 'quota', tonumber(first[2] or now + 1000) - now }
end
-- So many were given up or ran out unanswered within the hour: whoever is asked on and on agrees in the end.
local unanswered = T .. 'h:' .. a.account .. ':au'
local most = 10 * a.pending
if redis.call('ZCOUNT', unanswered, now - HOUR, '+inf') >= most then
  local first = redis.call('ZRANGE', unanswered, -most, -most, 'WITHSCORES')
  return { 'quota', math.max(1000, tonumber(first[2] or now) + HOUR - now) }
end

local expires = math.min(now + a.ttlMs, nearest)
local key = T .. 'a:' .. a.approval
local recents = T .. 'h:' .. a.account .. ':aa'
redis.call('HSET', key, 'rec', ARGV[2], 'state', 'pending', 'asked', now, 'expires', expires, 'n', 0)
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
redis.call('ZADD', waiting, expires, a.approval)
keep(waiting, expires - now + DAY)
redis.call('HSET', asked, a.bound, a.approval)
keep(asked, expires - now + 2 * DAY)
redis.call('ZADD', T .. 'due:approvals', expires, a.approval)
-- Scores are negative times: the newest come first.
for _, list in ipairs({ recents, T .. 'approvals' }) do
  redis.call('ZREMRANGEBYSCORE', list, 2 * DAY - now, '+inf')
  redis.call('ZADD', list, -now, a.approval)
  keep(list, 2 * DAY)
end
redis.call('HSET', key, 'recent', redis.call('ZCOUNT', recents, -now, 3600000 - now),
  'before', redis.call('EXISTS', T .. 'ad:' .. a.flag))
redis.call('PEXPIRE', key, expires - now + DAY)
return { 'ok', a.approval, redis.call('HGETALL', key) }
