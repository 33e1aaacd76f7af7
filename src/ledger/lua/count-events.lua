-- Counts events that a task's worker reports, all of them or none. KEYS[1] tag. ARGV[1] task, ARGV[2] how many, ARGV[3] limit.
-- Returns { 'ok', left } | { 'quota', left, 1|0 first refused } | { 'closed' } | { 'not_found' }
local key = T .. 't:' .. ARGV[1]
local task = redis.call('HMGET', key, 'rec', 'events')
if not task[1] then return { 'not_found' } end
if closed_task(cjson.decode(task[1]).chain, now_ms()) then return { 'closed' } end
local left = tonumber(ARGV[3]) - (tonumber(task[2]) or 0)
if tonumber(ARGV[2]) > left then return { 'quota', math.max(0, left), redis.call('HSETNX', key, 'capped', 1) } end
redis.call('HINCRBY', key, 'events', ARGV[2])
return { 'ok', left - tonumber(ARGV[2]) }
