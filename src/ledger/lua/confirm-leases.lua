-- A write to be acknowledged by a replica, if the ledger knows what is asked for: behind a fail-over it may be another server that
-- answers. Runs without the prelude. KEYS[1] tag. ARGV[1] JSON [[lease, 'reserved' | 'activated']]
-- Returns the leases that are not there, or not as far; where there is one nothing is written.
local lacking = {}
for _, asked in ipairs(cjson.decode(ARGV[1])) do
  local field = asked[2] == 'activated' and 'issued' or 'state'
  if not redis.call('HGET', KEYS[1] .. 'l:' .. asked[1], field) then lacking[#lacking + 1] = asked[1] end
end
if #lacking > 0 then return lacking end
redis.call('SET', KEYS[1] .. 'confirmed', redis.call('TIME')[1])
return lacking
