-- An operator has a failed revocation tried again, from the first attempt on. Must run out of memory: its first write is HDEL.
-- KEYS[1] tag. ARGV[1] lease. Returns { 'ok', provider } | { 'state', state or '' }
local key = T .. 'l:' .. ARGV[1]
local lease = redis.call('HMGET', key, 'state', 'rec', 'rev')
if lease[1] ~= 'failed' then return { 'state', lease[1] or '' } end
local provider = cjson.decode(lease[2]).provider
redis.call('HDEL', key, 'by', 'until', 'handed', 'receipt')
redis.call('HSET', key, 'state', 'revoking', 'tries', 0, 'forced', 1)
count_state(provider, 'failed', 'revoking')
redis.call('ZADD', T .. 'due:' .. provider, now_ms(), ARGV[1])
count_orders(lease[3], 'failed', -1)
return { 'ok', provider }
