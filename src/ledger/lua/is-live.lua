-- Whether a lease's credential is to be honoured: active, in time, its whole chain open, nothing of it locked. KEYS[1] tag.
-- ARGV[1] lease, ARGV[2] JSON [lock target]. Returns 1 | 0
local lease = redis.call('HMGET', T .. 'l:' .. ARGV[1], 'state', 'expires', 'rec')
if lease[1] ~= 'active' then return 0 end
local now = now_ms()
if tonumber(lease[2]) <= now then return 0 end
if closed_task(cjson.decode(lease[3]).chain, now) or locked_target(cjson.decode(ARGV[2])) then return 0 end
return 1
