-- Tasks that are to be ended: their deadline passed or a heartbeat was missed. Each is handed out at most every 2 s. Must run out
-- of memory: its first write is HDEL. KEYS[1] tag. ARGV[1] limit. Returns { { task, 'deadline' | 'abandoned' }, … }
local now = now_ms()
local due = T .. 'due:tasks'
redis.call('HDEL', T .. 'locked', '')
-- The sweep that this is part of may have begun before an outage.
note_sign('swept', now)
local signs = redis.call('MGET', T .. 'gap', T .. 'served')
local gap = tonumber(signs[1] or 0)
-- No broker takes requests at this moment, so a missing heartbeat says nothing.
local deaf = now - tonumber(signs[2] or 0) > SIGN_GAP
local page = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))) do
  local task = redis.call('HMGET', T .. 't:' .. id, 'state', 'expires', 'beat', 'beaten')
  local expires = tonumber(task[2])
  if task[1] ~= 'open' or not task[3] or expires <= now then
    redis.call('ZADD', due, now + 2000, id)
    page[#page + 1] = { id, 'deadline' }
  else
    -- An outage of ours never counts as theirs: misses are counted from the end of the last one.
    local missed = math.max(tonumber(task[4]), gap) + tonumber(task[3])
    if deaf then missed = math.max(missed, now + 1000) end
    if missed <= now then
      redis.call('ZADD', due, now + 2000, id)
      page[#page + 1] = { id, 'abandoned' }
    else
      redis.call('ZADD', due, math.min(expires, missed), id)
    end
  end
end
return page
