-- All leases of an ended task were told to end and its end is written: the task needs no further look. Once none of them is alive its keys go a day later.
-- KEYS[1] tag. ARGV[1] task
local key = T .. 't:' .. ARGV[1]
if redis.call('HGET', key, 'state') ~= 'ended' then return 'state' end
redis.call('ZREM', T .. 'due:tasks', ARGV[1])
if tonumber(redis.call('HGET', key, 'live')) <= 0 then
  for _, part in ipairs({ '', ':l', ':c', ':i' }) do redis.call('PEXPIRE', key .. part, DAY) end
end
return 'ok'
