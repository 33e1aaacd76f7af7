-- Writes a lease again that the ledger lost, from its audit records. Idempotent: of one that is there only a handle that it
-- lacks is added. One that was never answered for is due at once, by its mark. KEYS[1] tag.
-- ARGV[1] JSON { lease, expires, reserved, issued?, handle?, out?, idem?, body? }, ARGV[2] the record as it is stored
-- Returns 'restored' | 'exists' | 'ended' (another instance's replay knows that it is over)
local a = cjson.decode(ARGV[1])
local rec = cjson.decode(ARGV[2])
local now = now_ms()
local key = T .. 'l:' .. a.lease
local task = T .. 't:' .. rec.chain[1]
local state = redis.call('HGET', key, 'state')
if state then
  if a.handle and not ended_states[state] and redis.call('HEXISTS', key, 'handle') == 0 then
    redis.call('HSET', key, 'handle', a.handle, 'out', a.out)
  end
  return 'exists'
end
if a.idem then
  redis.call('HSETNX', task .. ':i', a.idem, a.lease)
  redis.call('HSETNX', task .. ':i', a.idem .. ':body', a.body)
  keep(task .. ':i', math.max(0, a.expires - now) + DAY)
end
if redis.call('EXISTS', T .. 'ended:' .. a.lease) == 1 then return 'ended' end
if a.issued then
  redis.call('HSET', key, 'state', 'active', 'expires', a.expires, 'issued', a.issued, 'handle', a.handle, 'out', a.out, 'rec', ARGV[2])
  redis.call('ZADD', T .. 'due:' .. rec.provider, a.expires, a.lease)
else
  redis.call('HSET', key, 'state', 'reserved', 'expires', a.expires, 'mint', now, 'rec', ARGV[2])
  redis.call('ZADD', T .. 'due:' .. rec.provider, now, a.lease)
end
redis.call('SADD', task .. ':l', a.lease)
if redis.call('EXISTS', task) == 1 then redis.call('HINCRBY', task, 'live', 1) else keep(task .. ':l', math.max(0, a.expires - now) + 2 * DAY) end
if rec.capacity and a.expires > now then
  local room = T .. 'cap:' .. rec.provider .. ':' .. rec.capacity
  redis.call('ZADD', room, a.expires + 60000, a.lease)
  keep(room, a.expires - now + 120000)
end
for _, holder in ipairs(rec.holders) do
  local h = T .. 'h:' .. holder
  count_new(holder, rec, a.lease, a.reserved)
  keep(h, math.max(0, a.expires - now) + 2 * DAY)
  keep(h .. ':g', math.max(0, a.expires - now) + 2 * DAY)
end
return 'restored'
