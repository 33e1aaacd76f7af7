-- A page of what is due, and the sign that somebody sweeps. Each one handed out is not handed out again for 2 s, so that a
-- long queue does not hide what stands behind it. Must run out of memory: its first write is HDEL. KEYS[1] tag.
-- ARGV[1] limit per provider, ARGV[2…] providers. Returns { { lease, provider, attempts, ms since first handed out }, … }
local now = now_ms()
redis.call('HDEL', T .. 'locked', '')
note_sign('swept', now)
local page = {}
for i = 2, #ARGV do
  local due = T .. 'due:' .. ARGV[i]
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))) do
    local key = T .. 'l:' .. id
    local lease = redis.call('HMGET', key, 'state', 'tries', 'handed')
    if not lease[1] then
      redis.call('ZREM', due, id)
      forget_counted(ARGV[i], id)
    else
      redis.call('ZADD', due, now + 2000, id)
      if not lease[3] then redis.call('HSET', key, 'handed', now) end
      page[#page + 1] = { id, ARGV[i], tonumber(lease[2]) or 0, now - (tonumber(lease[3]) or now) }
    end
  end
end
return page
