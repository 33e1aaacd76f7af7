-- Orders the end of up to 200 leases. Only shrinks, so it must run when Redis is out of memory: its first write is HDEL.
-- KEYS[1] tag. ARGV[1] JSON { leases, reason, actor, revocation, mintOver, forced, bulk: rank, where nobody waits for them,
--   rules: hash of the changed rules on whose account they end }
-- Returns { { { lease, provider, attempts }, … }, { { lease, principal, account, task }, … } }: those that there is something to do
-- for at once, and those that nobody had ordered to end for this reason before.
local a = cjson.decode(ARGV[1])
local now = now_ms()
local ready, told = {}, {}
local counts = a.rules and redis.call('HGET', T .. 'rules', 'current') == a.rules
redis.call('HDEL', T .. 'locked', '')
for _, id in ipairs(a.leases) do
  local key = T .. 'l:' .. id
  local lease = redis.call('HMGET', key, 'state', 'mint', 'rec', 'tries', 'rev', 'answered', 'expires', 'reason', 'actor')
  local state = lease[1]
  -- Told to wait for its natural end, and now by force: whoever thought to be through with it has to wait again.
  local again = a.forced and lease[6] and not ended_states[state]
  if again then
    redis.call('HDEL', key, 'answered')
    count_orders(lease[5], 'done', -1)
  end
  -- A lease can belong to several orders, and each of them has to get to its end.
  if a.revocation and state and not string.find(lease[5] or '', a.revocation, 1, true) then
    redis.call('HSET', key, 'rev', lease[5] and (lease[5] .. ',' .. a.revocation) or a.revocation)
    redis.call('ZADD', T .. 'rev:' .. a.revocation .. ':l', now, id)
    keep(T .. 'rev:' .. a.revocation .. ':l', DAY * 2)
    if ended_states[state] or (lease[6] and not again) then count_orders(a.revocation, 'done', 1) end
  end
  if state and not ended_states[state] then
    local rec = cjson.decode(lease[3])
    local due = T .. 'due:' .. rec.provider
    local mint = tonumber(lease[2])
    if not (state == 'revoking' and lease[8] == a.reason and lease[9] == a.actor) then
      told[#told + 1] = { id, rec.p, rec.n, rec.chain[1] }
    end
    if a.mintOver then
      redis.call('HDEL', key, 'mint')
      mint = nil
    end
    if a.forced then redis.call('HSET', key, 'forced', 1) end
    -- Ordered before already: its back-off stands, unless an operator forces it.
    local fresh = state == 'reserved' or state == 'active' or a.mintOver or a.forced
    if state == 'reserved' or state == 'active' then
      redis.call('HSET', key, 'state', 'revoking', 'reason', a.reason, 'actor', a.actor, 'ending', now)
      count_state(rec.provider, state, 'revoking')
      should_be_dead(rec.provider, id, now)
    elseif state == 'failed' and a.forced then
      redis.call('HSET', key, 'state', 'revoking')
      count_state(rec.provider, state, 'revoking')
      count_orders(lease[5], 'failed', -1)
    end
    -- Never revoke while our own mint is still running: a secret that Vault hands out while its token dies outlives it.
    if fresh and mint and mint > now then
      redis.call('ZADD', due, mint, id)
    elseif fresh and a.bulk then
      -- Workers take these a few at a time, the lowest rank first. What is due by time does not stand behind them, and what
      -- nobody took is looked at by time all the same.
      redis.call('ZADD', T .. 'bulk:' .. rec.provider, a.bulk * 1e13 + now, id)
      keep(T .. 'bulk:' .. rec.provider, DAY * 2)
      redis.call('ZADD', due, math.min(now + 600000, math.max(now + 10000, tonumber(lease[7]))), id)
    elseif fresh then
      -- Its job comes next: a sweep in between would only race it. One that never comes is found half a second later.
      redis.call('ZADD', due, a.forced and now or now + 500, id)
      ready[#ready + 1] = { id, rec.provider, tonumber(lease[4]) or 0 }
    end
  end
end
-- Counted with the end itself: where whoever ended them is killed behind it, the brake still knows of them.
if counts and #told > 0 then
  redis.call('HINCRBY', T .. 'rules', 'ended', #told)
  redis.call('HSET', T .. 'rules', 'ended_at', now)
end
return { ready, told }
