-- Writes what records tell of an approval into a ledger that may lack it. What stands there further on stays: each instance
-- knows a part, and a used one is never anything else again. KEYS[1] tag.
-- ARGV[1] JSON { approval, expires, asked?, state, why?, lease?, task?, account?, recent?, before?, bound?, votes: { person: vote },
--   denial?: { at, cooldownMs, cooldownKey, flagKey } },
-- ARGV[2] its record or ''. Returns 1 | 0 (nothing new)
local a = cjson.decode(ARGV[1])
local key = T .. 'a:' .. a.approval
local now = now_ms()
if a.expires + DAY <= now then return 0 end
local rank = { pending = 0, approved = 1, denied = 2, expired = 2, used = 3 }
local changed = 0
if ARGV[2] ~= '' and redis.call('HSETNX', key, 'rec', ARGV[2]) == 1 then
  changed = 1
  redis.call('HSET', key, 'asked', a.asked, 'recent', a.recent, 'before', a.before)
  redis.call('HSET', T .. 't:' .. a.task .. ':a', a.bound, a.approval)
  keep(T .. 't:' .. a.task .. ':a', 2 * DAY)
  for _, list in ipairs({ T .. 'h:' .. a.account .. ':aa', T .. 'approvals' }) do
    redis.call('ZADD', list, -a.asked, a.approval)
    keep(list, 2 * DAY)
  end
end
redis.call('HSET', key, 'expires', a.expires)
for person, vote in pairs(a.votes) do
  if redis.call('HSETNX', key, 'v:' .. person, vote) == 1 then
    redis.call('HINCRBY', key, 'n', 1)
    changed = 1
  end
end
local was = redis.call('HGET', key, 'state')
if not was or rank[a.state] > rank[was] then
  changed = 1
  redis.call('HSET', key, 'state', a.state)
  if a.why then redis.call('HSET', key, 'why', a.why) end
  if a.lease then redis.call('HSET', key, 'lease', a.lease) end
  was = a.state
  -- What was denied just now is asked no sooner because Redis forgot it, and whoever is asked sees that it was.
  if a.state == 'denied' and a.denial then
    local cooling, flagged = a.denial.at + a.denial.cooldownMs - now, a.denial.at + DAY - now
    if cooling > 0 then
      redis.call('SET', T .. 'ac:' .. a.denial.cooldownKey, 1, 'PX', math.ceil(cooling))
      redis.call('HINCRBY', T .. 'an:' .. a.denial.flagKey, 'n', 1)
      if redis.call('PTTL', T .. 'an:' .. a.denial.flagKey) < cooling then
        redis.call('PEXPIRE', T .. 'an:' .. a.denial.flagKey, math.ceil(cooling))
      end
    end
    if flagged > 0 then redis.call('SET', T .. 'ad:' .. a.denial.flagKey, 1, 'PX', math.ceil(flagged)) end
  end
end
if was == 'pending' or was == 'approved' then
  redis.call('ZADD', T .. 'due:approvals', a.expires, a.approval)
  if was == 'pending' and a.account then
    redis.call('ZADD', T .. 'h:' .. a.account .. ':a', a.expires, a.approval)
    keep(T .. 'h:' .. a.account .. ':a', math.max(0, a.expires - now) + DAY)
  end
else
  redis.call('ZREM', T .. 'due:approvals', a.approval)
  if a.account then redis.call('ZREM', T .. 'h:' .. a.account .. ':a', a.approval) end
end
redis.call('PEXPIRE', key, a.expires - now + DAY)
return changed
