-- Opens a task. KEYS[1] tag.
-- ARGV[1] JSON { task, fields, chain, holders: [[id, kind, windowMs]], account, session, ttlMs, openTasks, rate?, beatMs?, firstBeatMs?, idem?, body?, parent?, delegation?, notAfter? }
-- Returns { 'ok', opened_at, expires_at } | { 'again', task, body } | { 'rate', ms } | { 'quota' } | { 'closed' }
--   | { 'opened', task }: the delegation opened that one | { 'no_delegation' } | { 'late', now }: who asked has given up
local a = cjson.decode(ARGV[1])
local now = now_ms()
if a.notAfter and now > a.notAfter then return { 'late', now } end
-- Also of one who repeats itself: each repeat is written down.
if a.rate then
  local wait = count_request(a.account, a.rate, now)
  if wait > 0 then return { 'rate', wait } end
end
if a.idem then
  local prior = redis.call('HMGET', T .. 'i:' .. a.idem, 'task', 'body')
  if prior[1] then return { 'again', prior[1], prior[2] } end
end
local open = T .. 'h:' .. a.account .. ':t'
if redis.call('SCARD', open) >= a.openTasks then return { 'quota' } end
local expires = now + a.ttlMs
if a.parent then
  if closed_task(a.chain, now) then return { 'closed' } end
  for _, id in ipairs(a.chain) do
    expires = math.min(expires, tonumber(redis.call('HGET', T .. 't:' .. id, 'expires')))
  end
end
if a.delegation then
  -- Looked up and used up in one step: of two who bring the same one, one opens a task (single use).
  local d = redis.call('HMGET', T .. 'd:' .. a.delegation, 'rec', 'opened')
  if d[2] then return { 'opened', d[2] } end
  if not d[1] then return { 'no_delegation' } end
end
local key = T .. 't:' .. a.task
redis.call('HSET', key, 'state', 'open', 'opened', now, 'expires', expires, 'live', 0, 'rec', ARGV[2])
local due = expires
if a.beatMs then
  -- Counted from when the caller has the task's id: minting what it asked for at once is our time, not theirs.
  local from = now + a.firstBeatMs - a.beatMs
  redis.call('HSET', key, 'beat', a.beatMs, 'beaten', from)
  due = math.min(expires, from + a.beatMs)
end
redis.call('ZADD', T .. 'due:tasks', due, a.task)
redis.call('SADD', open, a.task)
keep(open, expires - now + 2 * DAY)
if a.parent then redis.call('SADD', T .. 't:' .. a.parent .. ':c', a.task) end
if a.delegation then
  redis.call('HSET', T .. 'd:' .. a.delegation, 'opened', a.task)
  redis.call('ZREM', T .. 't:' .. a.parent .. ':d', a.delegation)
end
if a.idem then
  redis.call('HSET', T .. 'i:' .. a.idem, 'task', a.task, 'body', a.body)
  redis.call('PEXPIRE', T .. 'i:' .. a.idem, expires - now + DAY)
end
return { 'ok', now, expires }
