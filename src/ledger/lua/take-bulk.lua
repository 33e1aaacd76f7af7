-- A few leases of large orders, the most privileged first; each is looked at again in 5 s, should its worker end with it. Must run
-- out of memory: its first write is HDEL. KEYS[1] tag. ARGV[1] provider, ARGV[2] limit. Returns { lease, … }
local bulk = T .. 'bulk:' .. ARGV[1]
if redis.call('EXISTS', bulk) == 0 then return {} end
local now = now_ms()
redis.call('HDEL', T .. 'locked', '')
local due = T .. 'due:' .. ARGV[1]
local taken = {}
local popped = redis.call('ZPOPMIN', bulk, ARGV[2])
for i = 1, #popped, 2 do
  taken[#taken + 1] = popped[i]
  -- Ended meanwhile by somebody else, it is not there; tried meanwhile, it is there for an earlier time.
  local score = redis.call('ZSCORE', due, popped[i])
  if score and tonumber(score) > now + 5000 then redis.call('ZADD', due, now + 5000, popped[i]) end
end
return taken
