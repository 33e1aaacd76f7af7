-- Writes a task again that the ledger lost, from its audit record. Idempotent: one that is there stays as it is. KEYS[1] tag.
-- ARGV[1] JSON { task, parent?, account?, opened, expires, outcome?, beatMs?, events?, idem?, body? }, ARGV[2] the record as it is stored
-- Returns 1 | 0
local a = cjson.decode(ARGV[1])
local now = now_ms()
local key = T .. 't:' .. a.task
if redis.call('EXISTS', key) == 1 then return 0 end
-- Another instance's replay knows that it has ended, and came first.
a.outcome = a.outcome or redis.call('GET', T .. 'ended-task:' .. a.task) or nil
local live = 0
for _, lease in ipairs(redis.call('SMEMBERS', key .. ':l')) do
  local state = redis.call('HGET', T .. 'l:' .. lease, 'state')
  if state and not ended_states[state] then live = live + 1 end
end
redis.call('HSET', key, 'state', a.outcome and 'ended' or 'open', 'opened', a.opened, 'expires', a.expires, 'live', live, 'rec', ARGV[2])
if a.events then redis.call('HSET', key, 'events', a.events) end
if a.parent then redis.call('SADD', T .. 't:' .. a.parent .. ':c', a.task) end
-- A delegation that came back unused would open a second task.
local opened_by = cjson.decode(ARGV[2]).delegation
if opened_by and redis.call('EXISTS', T .. 'd:' .. opened_by) == 1 then
  redis.call('HSETNX', T .. 'd:' .. opened_by, 'opened', a.task)
end
if a.outcome then
  redis.call('HSET', key, 'outcome', a.outcome, 'ended', now)
  redis.call('PEXPIRE', key, DAY)
else
  local due = a.expires
  if a.beatMs then
    -- What was missed while the ledger was away is not held against its worker.
    redis.call('HSET', key, 'beat', a.beatMs, 'beaten', now)
    due = math.min(due, now + a.beatMs)
  end
  redis.call('ZADD', T .. 'due:tasks', due, a.task)
  -- What was restored before its task had a short end. No PERSIST: the ledger's user has the fewest commands.
  for _, part in ipairs({ ':l', ':i' }) do redis.call('PEXPIRE', key .. part, math.max(0, a.expires - now) + 30 * DAY) end
  if a.account then
    local open = T .. 'h:' .. a.account .. ':t'
    redis.call('SADD', open, a.task)
    keep(open, math.max(0, a.expires - now) + 2 * DAY)
  end
end
if a.idem then
  redis.call('HSET', T .. 'i:' .. a.idem, 'task', a.task, 'body', a.body)
  redis.call('PEXPIRE', T .. 'i:' .. a.idem, math.max(0, a.expires - now) + DAY)
end
return 1
