-- Put before every script. KEYS[1] is the ledger's tag: every other key is built from it, so all stand in one hash slot.
-- Rules: all checks before the first write (Lua does not roll back); times from Redis TIME alone; each script idempotent.
local T = KEYS[1]
local DAY = 86400000

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- What a lease is counted by, for each of its holders.
local function counted(rec)
  return { 'a:' .. rec.action, 'c:' .. rec.access, 'r:' .. rec.resource }
end

local function remembered(rec)
  local members = counted(rec)
  members[#members + 1] = 't:' .. rec.ttl
  if rec.sensitivity then members[#members + 1] = 's:' .. rec.sensitivity end
  return members
end

-- The key lives at least `ms` from now; an earlier end is put off, a later one is kept.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

-- Counts a lease in or out (by = 1 or -1). `v` rises only when a counter leaves or reaches zero: otherwise every busy
-- pipeline would conflict with itself.
local function count_held(holder, rec, by)
  local key = T .. 'h:' .. holder
  -- Forgotten after days without a request: there is nothing to take away from, and a key made here would have no end.
  if by < 0 and redis.call('EXISTS', key) == 0 then return end
  local changed = false
  for _, member in ipairs(counted(rec)) do
    local n = redis.call('HINCRBY', key, 'h:' .. member, by)
    if n <= 0 then
      redis.call('HDEL', key, 'h:' .. member)
      changed = true
    elseif by == 1 and n == 1 then
      changed = true
    end
  end
  if redis.call('HINCRBY', key, 'live', by) < 0 then redis.call('HSET', key, 'live', 0) end
  if changed then redis.call('HINCRBY', key, 'v', 1) end
end

-- What was granted is counted at the reservation and taken back only when it was never minted.
local function count_granted(holder, rec, by, now)
  local key = T .. 'h:' .. holder
  if by < 0 and redis.call('EXISTS', key) == 0 then return end
  local changed = false
  for _, member in ipairs(remembered(rec)) do
    local n = redis.call('HINCRBY', key, 'g:' .. member, by)
    if n <= 0 then
      redis.call('HDEL', key, 'g:' .. member)
      redis.call('ZREM', key .. ':g', member)
      changed = true
    elseif by == 1 then
      redis.call('ZADD', key .. ':g', now, member)
      if n == 1 then changed = true end
    end
  end
  if changed then redis.call('HINCRBY', key, 'v', 1) end
end

-- Forgets what was granted longer ago than the window; window 0 remembers as long as the holder lives.
local function forget_granted(key, window, now)
  if window <= 0 then return end
  local old = redis.call('ZRANGEBYSCORE', key .. ':g', '-inf', now - window)
  if #old == 0 then return end
  for _, member in ipairs(old) do
    redis.call('ZREM', key .. ':g', member)
    redis.call('HDEL', key, 'g:' .. member)
  end
  redis.call('HINCRBY', key, 'v', 1)
end

-- One holder as look and look-holders answer it: { id, kind, fields, granted members }.
local function look_at_holder(holder, now)
  local key = T .. 'h:' .. holder[1]
  forget_granted(key, holder[3], now)
  return { holder[1], holder[2], redis.call('HGETALL', key), redis.call('ZRANGE', key .. ':g', 0, -1) }
end

-- Counts one request of an account in the running minute. Returns milliseconds to wait, or 0 when it is within the limit.
local function count_request(account, limit, now)
  local key = T .. 'h:' .. account
  local minute = math.floor(now / 60000)
  if tonumber(redis.call('HGET', key, 'rate:minute')) ~= minute then
    redis.call('HSET', key, 'rate:minute', minute, 'rate:count', 0)
  end
  keep(key, 2 * DAY)
  if redis.call('HINCRBY', key, 'rate:count', 1) > limit then return (minute + 1) * 60000 - now end
  return 0
end

-- The first task of the chain (JSON list of ids) that is not open now, or nil. Ancestors are read too, so that closing
-- one task needs no fan-out to be safe (I7).
local function closed_task(chain, now)
  for _, id in ipairs(chain) do
    local t = redis.call('HMGET', T .. 't:' .. id, 'state', 'expires')
    if t[1] ~= 'open' or tonumber(t[2]) <= now then return id end
  end
  return nil
end

-- The first of the targets that an operator has locked, or nil.
local function locked_target(targets)
  if redis.call('EXISTS', T .. 'locked') == 0 then return nil end
  local counts = redis.call('HMGET', T .. 'locked', unpack(targets))
  for i, count in ipairs(counts) do
    if count and tonumber(count) > 0 then return targets[i] end
  end
  return nil
end

-- Adds to a count of every operators' order that the lease belongs to (`rev_…,rev_…`). One that Redis has forgotten stays so.
local function count_orders(orders, field, by)
  for id in string.gmatch(orders or '', '[^,]+') do
    local key = T .. 'rev:' .. id
    if redis.call('EXISTS', key) == 1 then redis.call('HINCRBY', key, field, by) end
  end
end

local ended_states = { revoked = true, expired = true, released = true, void = true, abandoned = true }
