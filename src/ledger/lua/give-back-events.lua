-- Events that were counted and could not be written. KEYS[1] tag. ARGV[1] task, ARGV[2] how many.
local key = T .. 't:' .. ARGV[1]
local counted = tonumber(redis.call('HGET', key, 'events')) or 0
if counted > 0 then redis.call('HINCRBY', key, 'events', -math.min(counted, tonumber(ARGV[2]))) end
return 'ok'
