-- Writes the lease before anything is minted (I2), if the world is still as it was decided upon (I8). KEYS[1] tag.
-- ARGV[1] JSON { lease, versions, counts: [{ of, min, max }], holders: [[id, kind, windowMs]], ttlMs, timeoutMs, incarnation, sweptWithin, idem, body,
--   instance?, acked, turn, sequence (beat-instance.lua), capacity: { key, leases }, limits: { task, account, provider }, locks: [target],
--   approval?: { id, answers }, notAfter? }, ARGV[2] the record as it is stored
-- Returns { 'ok', now, expires_at } | { 'rolled_back' } | { 'no_worker' } | { 'exists' } | { 'again', lease, body }
--   | { 'approval', state } | { 'closed', task } | { 'locked', target } | { 'version' } | { 'quota', which, retry after s }
--   | { 'late', now }: who asked has given up
local a = cjson.decode(ARGV[1])
local rec = cjson.decode(ARGV[2])
local now = now_ms()
local key = T .. 'l:' .. a.lease
local task = T .. 't:' .. rec.chain[1]
local due = T .. 'due:' .. rec.provider

if a.notAfter and now > a.notAfter then return { 'late', now } end
local signs = redis.call('MGET', T .. 'incarnation', T .. 'swept', T .. 'paused')
-- Paused: it went back to an old snapshot, and an operator has not resumed it.
if signs[1] ~= a.incarnation or signs[3] then return { 'rolled_back' } end
-- Redis must still have every turn of this instance that it acknowledged: else it was rolled back, and leases are missing.
local turns = a.instance and redis.call('HMGET', T .. 'wal', a.instance, a.instance .. '/n') or {}
if a.instance and tonumber(turns[2] or 0) < a.acked then return { 'rolled_back' } end
if now - tonumber(signs[2] or 0) > a.sweptWithin then return { 'no_worker' } end
if redis.call('EXISTS', key) == 1 then return { 'exists' } end
if a.idem then
  local prior = redis.call('HMGET', task .. ':i', a.idem, a.idem .. ':body')
  if prior[1] then return { 'again', prior[1], prior[2] } end
end
local closed, nearest = closed_task(rec.chain, now)
if closed then return { 'closed', closed } end
local locked = locked_target(a.locks)
if locked then return { 'locked', locked } end
-- One approval, one reservation: of many repeats at once the first takes it.
if a.approval then
  local given = redis.call('HMGET', T .. 'a:' .. a.approval.id, 'state', 'expires', 'n')
  if given[1] ~= 'approved' or tonumber(given[2]) <= now then return { 'approval', given[1] or 'expired' } end
  if (given[3] or '0') ~= a.approval.answers then return { 'version' } end
end
local live = {}
local counts = { task = tonumber(redis.call('HGET', task, 'live')) }
for i, holder in ipairs(a.holders) do
  local h = redis.call('HMGET', T .. 'h:' .. holder[1], 'v', 'live')
  if (h[1] or '0') ~= a.versions[i] then return { 'version' } end
  live[i] = tonumber(h[2] or 0)
  counts[holder[1]] = live[i]
end
-- `v` does not rise with every lease: what was decided by how many there are is looked at by itself.
for _, count in ipairs(a.counts) do
  if counts[count.of] < count.min or counts[count.of] > count.max then return { 'version' } end
end

local expires = math.min(now + a.ttlMs, nearest)
local retry = math.max(1, math.ceil((expires - now) / 1000))
if counts.task >= a.limits.task then return { 'quota', 'limits.task.active_leases', retry } end
for i, holder in ipairs(a.holders) do
  if holder[2] == 'account' and live[i] >= a.limits.account then
    return { 'quota', 'limits.account.active_leases', retry }
  end
end
-- Every decision reads all that its holders were granted: of so many different things it would take seconds, and more room than its
-- record has. What was granted before may be granted again.
for _, holder in ipairs(a.holders) do
  local granted = T .. 'h:' .. holder[1] .. ':g'
  if redis.call('ZCARD', granted) >= MOST_GRANTED then
    for _, member in ipairs(counted(rec)) do
      if not redis.call('ZSCORE', granted, member) then
        local oldest = tonumber(redis.call('ZRANGE', granted, 0, 0, 'WITHSCORES')[2])
        local wait = holder[3] > 0 and math.ceil((oldest + holder[3] - now) / 1000) or 3600
        return { 'quota', MOST_GRANTED .. ' different actions and resources granted within limits.account.memory', math.max(1, wait) }
      end
    end
  end
end
if redis.call('ZCARD', due) >= a.limits.provider then return { 'quota', 'limits.provider.active_leases', retry } end
if a.capacity then
  -- Room is taken until the lease's own end, whatever happens to it earlier: the provider keeps the entry that long.
  local room = T .. 'cap:' .. rec.provider .. ':' .. a.capacity.key
  if redis.call('ZCOUNT', room, now, '+inf') >= a.capacity.leases then
    local first = redis.call('ZRANGEBYSCORE', room, now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    return { 'quota', a.capacity.key, math.max(1, math.ceil((tonumber(first[2]) - now) / 1000)) }
  end
end

local mint_until = math.min(now + a.timeoutMs + 5000, expires + 2000)
redis.call('HSET', key, 'state', 'reserved', 'expires', expires, 'mint', mint_until, 'rec', ARGV[2])
redis.call('ZADD', due, mint_until, a.lease)
-- Who has no such provider in its configuration any more looks after its leases all the same.
redis.call('SADD', T .. 'providers', rec.provider)
if a.instance then
  local sequence, turn = math.max(tonumber(turns[1] or 0), a.sequence), math.max(tonumber(turns[2] or 0), a.turn)
  redis.call('HSET', T .. 'wal', a.instance, sequence, a.instance .. '/n', turn)
end
count_state(rec.provider, nil, 'reserved')
redis.call('SADD', task .. ':l', a.lease)
redis.call('HINCRBY', task, 'live', 1)
if a.approval then
  redis.call('HSET', T .. 'a:' .. a.approval.id, 'state', 'used', 'why', 'minted', 'lease', a.lease)
  redis.call('ZREM', T .. 'due:approvals', a.approval.id)
end
if a.idem then redis.call('HSET', task .. ':i', a.idem, a.lease, a.idem .. ':body', a.body) end
if a.capacity then
  local room = T .. 'cap:' .. rec.provider .. ':' .. a.capacity.key
  redis.call('ZREMRANGEBYSCORE', room, '-inf', now)
  redis.call('ZADD', room, expires + 60000, a.lease)
  keep(room, expires - now + 120000)
end
for _, holder in ipairs(a.holders) do
  local h = T .. 'h:' .. holder[1]
  count_new(holder[1], rec, a.lease, now)
  if holder[2] == 'session' then name_newest(h, rec, a.lease) end
  local idle = math.max(2 * DAY, holder[3]) + expires - now
  keep(h, idle)
  keep(h .. ':g', idle)
end
return { 'ok', now, expires }
