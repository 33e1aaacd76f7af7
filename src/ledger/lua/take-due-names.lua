-- What is due of one kind, each handed out at most every 2 s. KEYS[1] tag. ARGV[1] 'revocations', 'approvals' or 'locks', ARGV[2] limit
-- Returns their ids
local now = now_ms()
local due = T .. 'due:' .. ARGV[1]
redis.call('HDEL', T .. 'locked', '')
local names = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))
for _, name in ipairs(names) do redis.call('ZADD', due, now + 2000, name) end
return names
