-- Writes a lease again that the ledger lost, from its audit records. Idempotent: of one that is there only a handle that it
-- lacks, or has half of, is added. One that was never answered for is due at once, by its mark; one whose revocation failed, at
-- its natural end.
-- One that is over answers for its idempotency key and its receipt as long as any does; a standing copy or an abandoned
-- credential counts as held until its natural end. KEYS[1] tag.
-- ARGV[1] JSON { lease, expires, reserved, rules (that it was judged by last, or ''), issued?, handle?, out?, idem?, body?, end?: { state, over, reason, actor, receipt,
--   attempts, at } }, ARGV[2] the record as it is stored
-- Returns 'restored' | 'exists' | 'ended' (another instance's replay knows that it is over)
--   | { 'ordered', order }: restored, and another instance's replay knows that its end was ordered
local a = cjson.decode(ARGV[1])

-- The rules in force may have been carried through over a ledger that lacked this lease. What was judged by others is due again;
-- before any program has said its rules, those are told that it stands by, so that the same ones find nothing to do.
local function judge_again()
  local rules = T .. 'rules'
  local current, applied = unpack(redis.call('HMGET', rules, 'current', 'applied'))
  if current == a.rules then return end
  local known = (not applied or applied == current or applied == a.rules) and a.rules or ''
  redis.call('HSET', rules, 'applied', known, 'covered', now_ms())
  if not current then return end
  redis.call('HSET', rules, 'state', 'due')
  redis.call('HDEL', rules, 'held', 'token')
end

local rec = cjson.decode(ARGV[2])
local now = now_ms()
local key = T .. 'l:' .. a.lease
local task = T .. 't:' .. rec.chain[1]
local due = T .. 'due:' .. rec.provider
local fin = a['end']
local over = fin and fin.over
local state = redis.call('HGET', key, 'state')
if state then
  -- What was noted while it was minted may name a part alone (at Vault the token, not yet its secret); the record has all of it.
  if a.handle and not ended_states[state] and not redis.call('HGET', key, 'issued') then
    redis.call('HSET', key, 'handle', a.handle, 'out', a.out)
  end
  return 'exists'
end
local left = math.max(0, a.expires - now)
if a.idem then
  redis.call('HSETNX', task .. ':i', a.idem, a.lease)
  redis.call('HSETNX', task .. ':i', a.idem .. ':body', a.body)
  keep(task .. ':i', left + DAY)
end
if not over and redis.call('EXISTS', T .. 'ended:' .. a.lease) == 1 then return 'ended' end
redis.call('HSET', key, 'expires', a.expires, 'rec', ARGV[2])
redis.call('SADD', T .. 'providers', rec.provider)
if a.issued then redis.call('HSET', key, 'issued', a.issued, 'handle', a.handle, 'out', a.out) end
if fin then
  redis.call('HSET', key, 'reason', fin.reason, 'actor', fin.actor, 'receipt', fin.receipt, 'tries', fin.attempts)
end
local held = true
if over then
  held = left > 0 and (fin.state == 'released' or fin.state == 'abandoned')
  redis.call('HSET', key, 'state', fin.state, 'ended', fin.at)
  redis.call('PEXPIRE', key, math.max(1000, fin.at + DAY - now, a.expires + DAY - now))
  if held then
    redis.call('HSET', key, 'kept', 1)
    redis.call('ZADD', due, a.expires, a.lease)
  end
elseif fin then
  redis.call('HSET', key, 'state', 'failed', 'ending', fin.at)
  redis.call('ZADD', due, math.max(now, a.expires), a.lease)
elseif a.issued then
  redis.call('HSET', key, 'state', 'active')
  redis.call('ZADD', due, a.expires, a.lease)
else
  -- What was noted of it while it was minted is lost with the ledger: that nothing is known of it proves nothing.
  redis.call('HSET', key, 'state', 'reserved', 'mint', now, 'lost', 1)
  redis.call('ZADD', due, now, a.lease)
end
local counts_as = a.issued and 'active' or 'reserved'
if over then
  counts_as = held and fin.state or nil
elseif fin then
  counts_as = 'failed'
  should_be_dead(rec.provider, a.lease, fin.at)
end
count_state(rec.provider, nil, counts_as)
redis.call('SADD', task .. ':l', a.lease)
if redis.call('EXISTS', task) == 1 then
  if not over then redis.call('HINCRBY', task, 'live', 1) end
else
  keep(task .. ':l', left + 2 * DAY)
end
-- The provider keeps the entry until its natural end, whatever happened to the lease earlier.
if rec.capacity and left > 0 and not (over and fin.state == 'void') then
  local room = T .. 'cap:' .. rec.provider .. ':' .. rec.capacity
  redis.call('ZADD', room, a.expires + 60000, a.lease)
  keep(room, left + 120000)
end
if held then
  for _, holder in ipairs(rec.holders) do
    local h = T .. 'h:' .. holder
    count_new(holder, rec, a.lease, a.reserved)
    -- Which of them is the session is not known here; only there is it read.
    name_newest(h, rec, a.lease)
    keep(h, left + 2 * DAY)
    keep(h .. ':g', left + 2 * DAY)
  end
end
if not over then judge_again() end
local order = not over and redis.call('GET', T .. 'ending-of:' .. a.lease)
return order and { 'ordered', order } or 'restored'
