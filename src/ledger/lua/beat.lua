-- A sign of life of whoever works on a task. Must run out of memory, since that is our outage: its first write is HDEL.
-- KEYS[1] tag. ARGV[1] task. Returns { 'ok', next heartbeat before ms or '' } | { 'closed' } | { 'not_found' }
local key = T .. 't:' .. ARGV[1]
local now = now_ms()
local task = redis.call('HMGET', key, 'rec', 'beat', 'expires')
if not task[1] then return { 'not_found' } end
if closed_task(cjson.decode(task[1]).chain, now) then return { 'closed' } end
if not task[2] then return { 'ok', '' } end
redis.call('HDEL', key, '')
redis.call('HSET', key, 'beaten', now)
local due = math.min(tonumber(task[3]), now + tonumber(task[2]))
redis.call('ZADD', T .. 'due:tasks', due, ARGV[1])
return { 'ok', due }
