-- Notices that are due, each to one worker for so long; should it die, the next one has it then. Must run out of memory: its
-- first write is HDEL. KEYS[1] tag. ARGV[1] limit, ARGV[2] for how long (ms). Returns { { notice, what is sent, tries }, … }
local now = now_ms()
local due = T .. 'due:notices'
redis.call('HDEL', T .. 'noticing', '')
local page = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))) do
  local body = redis.call('HGET', T .. 'n:' .. id, 'body')
  if body then
    redis.call('ZADD', due, now + tonumber(ARGV[2]), id)
    page[#page + 1] = { id, body, redis.call('HINCRBY', T .. 'n:' .. id, 'tries', 1) }
  else
    redis.call('ZREM', due, id)
  end
end
return page
