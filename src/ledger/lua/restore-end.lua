-- The audit says that a lease is over. Where the ledger has none of it that is noted, so that another instance's replay does
-- not bring it back as alive. KEYS[1] tag. ARGV[1] lease. Returns 'live' (to be ended again) | 'over'
local state = redis.call('HGET', T .. 'l:' .. ARGV[1], 'state')
if state then return ended_states[state] and 'over' or 'live' end
redis.call('SET', T .. 'ended:' .. ARGV[1], 1, 'PX', 2 * DAY)
return 'over'
