-- Stores the sealed handle as soon as there is one, also when the lease was ended meanwhile: revocation needs it. Must run out
-- of memory, since what it names is alive already: its first write is HDEL. KEYS[1] tag. ARGV[1] lease, ARGV[2] sealed handle,
-- ARGV[3] JSON [lock target]. Returns 'ok' | 'state' | 'closed' | 'locked': what ended it comes before that it is ending
local key = T .. 'l:' .. ARGV[1]
local lease = redis.call('HMGET', key, 'state', 'mint', 'until', 'rec')
if not lease[1] or ended_states[lease[1]] then return 'state' end
redis.call('HDEL', key, '')
redis.call('HSET', key, 'handle', ARGV[2])
if lease[1] == 'reserved' then return 'ok' end
-- An answer that came after its end was ordered: searches by its mark may be a minute apart, this need not wait for them.
local now = now_ms()
local busy = (lease[2] and tonumber(lease[2]) > now) or (lease[3] and tonumber(lease[3]) > now)
if lease[1] == 'revoking' and not busy then
  redis.call('ZADD', T .. 'due:' .. cjson.decode(lease[4]).provider, now, ARGV[1])
end
if closed_task(cjson.decode(lease[4]).chain, now) then return 'closed' end
local targets = cjson.decode(ARGV[3])
if #targets > 0 and locked_target(targets) then return 'locked' end
return 'state'
