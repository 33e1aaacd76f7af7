-- Every lease that the order reaches was told to end. KEYS[1] tag. ARGV[1] id
local key = T .. 'rev:' .. ARGV[1]
redis.call('ZREM', T .. 'due:revocations', ARGV[1])
if redis.call('EXISTS', key) == 0 then return 0 end
local reached = redis.call('ZCARD', key .. ':l')
redis.call('HSET', key, 'scanned', 1, 'matched', math.max(reached, tonumber(redis.call('HGET', key, 'done'))))
redis.call('PEXPIRE', key, DAY * 2)
redis.call('PEXPIRE', key .. ':l', DAY * 2)
return 1
