-- Takes the work of judging all live leases by the rules in force, for 10 s (keep-redecision). Must run out of memory: its first
-- write is HDEL. KEYS[1] tag. ARGV[1] hash of the taker's rules, ARGV[2] the taker's token
-- Returns { 'ok', now, only leases issued since ms, hash judged last or '', ended so far, released 0|1, requirements then,
--   what sets before ended lately } | { 'no' }
local key = T .. 'rules'
local now = now_ms()
local was = redis.call('HMGET', key, 'current', 'state', 'held', 'applied', 'covered', 'ended', 'released', 'requires', 'lately')
if was[1] ~= ARGV[1] or was[2] ~= 'due' or tonumber(was[3] or 0) > now then return { 'no' } end
redis.call('HDEL', key, 'none')
redis.call('HSET', key, 'begun', now, 'held', now + 10000, 'token', ARGV[2])
-- Judged by this set before: only what others issued meanwhile by the old one is news. What was reserved by then was judged as such.
local since = was[4] == ARGV[1] and tonumber(was[5] or 0) - 1000 or 0
return { 'ok', now, math.max(0, since), was[4] or '', tonumber(was[6] or 0), was[7] and 1 or 0, was[8] or '', was[9] or '' }
