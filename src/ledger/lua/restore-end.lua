-- The audit says that a lease is over, or (ARGV[2]) that its end was ordered. Where the ledger has none of it that is noted, so that
-- another instance's replay does not bring it back as alive. KEYS[1] tag. ARGV[1] lease, ARGV[2] the order as JSON or ''.
-- Returns 'live' (to be ended again) | 'over'
local state = redis.call('HGET', T .. 'l:' .. ARGV[1], 'state')
if state then return ended_states[state] and 'over' or 'live' end
if ARGV[2] == '' then
  redis.call('SET', T .. 'ended:' .. ARGV[1], 1, 'PX', 2 * DAY)
else
  redis.call('SET', T .. 'ending-of:' .. ARGV[1], ARGV[2], 'PX', 2 * DAY)
end
return 'over'
