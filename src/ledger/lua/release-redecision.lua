-- An operator's word that the waiting set may end what it ends. Must run out of memory: its first write is HDEL. KEYS[1] tag.
-- ARGV[1] hash, ARGV[2] actor. Returns 1 | 0: it is not the one that waits
local key = T .. 'rules'
local was = redis.call('HMGET', key, 'current', 'state')
if was[1] ~= ARGV[1] or was[2] ~= 'waiting' then return 0 end
redis.call('HDEL', key, 'none')
redis.call('HSET', key, 'released', 1, 'actor', ARGV[2], 'state', 'due')
return 1
