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

-- Of one holder; see reserve.lua.
local MOST_GRANTED = 5000

local function remembered(rec)
  local members = counted(rec)
  members[#members + 1] = 't:' .. rec.ttl
  if rec.sensitivity then members[#members + 1] = 's:' .. rec.sensitivity end
  return members
end

-- What an escalation can go beyond. `w:<member>` of a session names the newest two leases by which it had that: two, since
-- the newer may turn out to have never been minted. Without the prefix of their ids: past 64 bytes a value, Redis would
-- keep the whole holder in a way that takes several times as much.
local function surpassable(rec)
  local names = { 'w:c:' .. rec.access, 'w:t:' .. rec.ttl }
  if rec.sensitivity then names[3] = 'w:s:' .. rec.sensitivity end
  return names
end

local function bare_id(lease)
  return (string.gsub(lease, '^lease_', ''))
end

local function name_newest(key, rec, lease)
  local names, fields, id = surpassable(rec), {}, bare_id(lease)
  for i, before in ipairs(redis.call('HMGET', key, unpack(names))) do
    fields[#fields + 1] = names[i]
    fields[#fields + 1] = before and id .. ' ' .. string.match(before, '^%S+') or id
  end
  redis.call('HSET', key, unpack(fields))
end

local function unname_newest(key, rec, lease)
  local names, id = surpassable(rec), bare_id(lease)
  for i, newest in ipairs(redis.call('HMGET', key, unpack(names))) do
    local first, second = string.match(newest or '', '^(%S+) ?(%S*)$')
    local left = first ~= id and first or second
    if first == id or second == id then
      if left == '' then redis.call('HDEL', key, names[i]) else redis.call('HSET', key, names[i], left) end
    end
  end
  if redis.call('HGET', key, 'last') == lease then redis.call('HDEL', key, 'last') end
end

-- The key lives at least `ms` from now. Put off by ten minutes more than that, so that not every lease puts it off again.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms + 600000) end
end

-- Adds `by` (1 or -1) to each of the counters and drops what is zero then, in two or three calls: each call costs as much as
-- all its counters, and each write again in the append-only file. Returns whether one left or reached zero.
local function add_to(key, names, by)
  local was = redis.call('HMGET', key, unpack(names))
  local left, gone, changed = {}, {}, false
  for i, name in ipairs(names) do
    local n = (tonumber(was[i]) or 0) + by
    if n > 0 then
      left[#left + 1] = name
      left[#left + 1] = n
      if by == 1 and n == 1 then changed = true end
    else
      gone[#gone + 1] = name
      changed = true
    end
  end
  if #left > 0 then redis.call('HSET', key, unpack(left)) end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  return changed
end

local function held_names(rec)
  local names = { 'live' }
  for _, member in ipairs(counted(rec)) do names[#names + 1] = 'h:' .. member end
  return names
end

-- Counts a new lease: held, and granted from now on. `v` rises only when a counter leaves or reaches zero: otherwise every
-- busy pipeline would conflict with itself.
local function count_new(holder, rec, lease, now)
  local key = T .. 'h:' .. holder
  local names, granted = held_names(rec), {}
  for _, member in ipairs(remembered(rec)) do
    names[#names + 1] = 'g:' .. member
    granted[#granted + 1] = now
    granted[#granted + 1] = member
  end
  local changed = add_to(key, names, 1)
  redis.call('HSET', key, 'last', lease)
  redis.call('ZADD', key .. ':g', unpack(granted))
  if changed then redis.call('HINCRBY', key, 'v', 1) end
end

-- Counts an ended lease out of what is held.
local function count_out(holder, rec)
  local key = T .. 'h:' .. holder
  -- Forgotten after days without a request: there is nothing to take away from, and a key made here would have no end.
  if redis.call('EXISTS', key) == 0 then return end
  if add_to(key, held_names(rec), -1) then redis.call('HINCRBY', key, 'v', 1) end
end

-- What was granted is taken back only when it was never minted.
local function take_back(holder, rec, lease)
  local key = T .. 'h:' .. holder
  if redis.call('EXISTS', key) == 0 then return end
  local names, members = {}, remembered(rec)
  for i, member in ipairs(members) do names[i] = 'g:' .. member end
  local changed = add_to(key, names, -1)
  for i, count in ipairs(redis.call('HMGET', key, unpack(names))) do
    if not count then redis.call('ZREM', key .. ':g', members[i]) end
  end
  unname_newest(key, rec, lease)
  if changed then redis.call('HINCRBY', key, 'v', 1) end
end

-- Forgets what was granted longer ago than the window, unless it is held: what is held was granted, however long ago. Of
-- sensitivities and lifetimes it is not known which are held. Window 0 remembers as long as the holder lives.
local function forget_granted(key, window, now)
  if window <= 0 then return end
  local old = redis.call('ZRANGEBYSCORE', key .. ':g', '-inf', now - window)
  if #old == 0 then return end
  local forgotten = false
  for _, member in ipairs(old) do
    local held = string.match(member, '^[st]:') and 'live' or 'h:' .. member
    if (tonumber(redis.call('HGET', key, held)) or 0) <= 0 then
      redis.call('ZREM', key .. ':g', member)
      redis.call('HDEL', key, 'g:' .. member, 'w:' .. member)
      forgotten = true
    end
  end
  if forgotten then redis.call('HINCRBY', key, 'v', 1) end
end

-- One holder as look and look-holders answer it: { id, kind, fields, granted members }, the last two as JSON: as one string
-- each they cost the answer a tenth of what hundreds of small ones would.
local function look_at_holder(holder, now)
  local key = T .. 'h:' .. holder[1]
  forget_granted(key, holder[3], now)
  local fields, granted = redis.call('HGETALL', key), redis.call('ZRANGE', key .. ':g', 0, -1)
  return { holder[1], holder[2], cjson.encode(fields), cjson.encode(granted) }
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

-- The first task of the chain (JSON list of ids) that is not open now, or nil, and the nearest deadline on the chain.
-- Ancestors are read too, so that closing one task needs no fan-out to be safe (I7).
local function closed_task(chain, now)
  local nearest = math.huge
  for _, id in ipairs(chain) do
    local t = redis.call('HMGET', T .. 't:' .. id, 'state', 'expires')
    if t[1] ~= 'open' or tonumber(t[2]) <= now then return id, 0 end
    nearest = math.min(nearest, tonumber(t[2]))
  end
  return nil, nearest
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

-- Writes an operator's order and makes it due. One that came with its lock stands already: only its count is news then.
local function create_revocation(id, order, matched, now)
  local key = T .. 'rev:' .. id
  local scanned = redis.call('HGET', key, 'scanned')
  if scanned then
    if scanned == '0' then redis.call('HSET', key, 'matched', matched) end
    return
  end
  redis.call('HSET', key, 'order', order, 'matched', matched, 'done', 0, 'failed', 0, 'scanned', 0, 'at', now)
  redis.call('PEXPIRE', key, DAY * 2)
  redis.call('ZADD', T .. 'due:revocations', now, id)
end

local ended_states = { revoked = true, expired = true, released = true, void = true, abandoned = true }

-- Sweeps and serving brokers leave a sign every so often. One that was missing for longer than this is an outage of ours, and
-- heartbeats are counted from its end. Longer than a sign may be late under load, shorter than any heartbeat's interval.
local SIGN_GAP = 3000
local function note_sign(name, now)
  local last = tonumber(redis.call('GET', T .. name))
  if last and now - last > SIGN_GAP then redis.call('SET', T .. 'gap', now) end
  redis.call('SET', T .. name, now)
end

-- How many leases of a provider are in each state, and since when each one that should be dead is not: kept up at every step,
-- since a scan of 200,000 leases at each scrape is none. Both hold exactly what `due:<provider>` holds.
local function count_state(provider, from, to)
  if from == to then return end
  local key = T .. 'n:' .. provider
  if from and redis.call('HINCRBY', key, from, -1) <= 0 then redis.call('HDEL', key, from) end
  if to then redis.call('HINCRBY', key, to, 1) end
end

-- From `since` on the lease should be dead; nil: it is, or may live on.
local function should_be_dead(provider, lease, since)
  if since then
    redis.call('ZADD', T .. 'ending:' .. provider, since, lease)
  else
    redis.call('ZREM', T .. 'ending:' .. provider, lease)
  end
end

-- Nobody answered in time, or whoever asked ended its task first. Counted for an hour, so that a caller who asks and gives up in a
-- loop does not have people asked without end: it is such floods that people agree to.
local HOUR = 3600000
local function count_unanswered(task_rec, approval, now)
  for _, holder in ipairs(task_rec.holders) do
    if holder[2] == 'account' then
      local key = T .. 'h:' .. holder[1] .. ':au'
      redis.call('ZREMRANGEBYSCORE', key, '-inf', now - HOUR)
      redis.call('ZADD', key, now, approval)
      keep(key, HOUR)
      -- Its own stands first; who stands above did not ask.
      return
    end
  end
end

-- One lease less; after the last one an ended task goes a day later. One that Redis has lost is not begun here: who replays it
-- would find it there, and leave it as it is.
local function count_off_task(id)
  local task = T .. 't:' .. id
  if redis.call('EXISTS', task) == 0 then return end
  if redis.call('HINCRBY', task, 'live', -1) <= 0 and redis.call('HGET', task, 'state') == 'ended' then
    for _, part in ipairs({ '', ':l', ':c', ':i' }) do redis.call('PEXPIRE', task .. part, DAY) end
  end
end

-- Redis has forgotten the lease, and with it the state that it was counted in: put right once nothing is due any more.
local function forget_counted(provider, lease)
  should_be_dead(provider, lease, nil)
  if redis.call('EXISTS', T .. 'due:' .. provider) == 0 then redis.call('DEL', T .. 'n:' .. provider) end
end
