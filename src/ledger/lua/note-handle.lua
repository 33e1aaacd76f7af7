-- Stores the sealed handle as soon as there is one, also when the lease was ended meanwhile: revocation needs it.
-- KEYS[1] tag. ARGV[1] lease, ARGV[2] sealed handle. Returns 'ok' | 'state'
local key = T .. 'l:' .. ARGV[1]
local state = redis.call('HGET', key, 'state')
if not state or ended_states[state] then return 'state' end
redis.call('HSET', key, 'handle', ARGV[2])
if state ~= 'reserved' then return 'state' end
return 'ok'
