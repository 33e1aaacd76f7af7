-- A program says each second which rules it decides by. The set that most lately came to be in force is the one that live leases
-- are judged by; a program that is late with an old set must not bring it back. Must run out of memory: its first write is HDEL.
-- KEYS[1] tag. ARGV[1] program, ARGV[2] hash of its rules
-- Returns { 'current' | 'other', now, fields of the change }
local key = T .. 'rules'
local now = now_ms()
local program, hash = ARGV[1], ARGV[2]
local was = redis.call('HMGET', key, 'current', 'past', 'i:' .. program, 'state')
local current, past, from, state = was[1], was[2] or '', was[3], was[4]

-- What sets before ended without an operator's word, `at:count,…`: the brake counts it together, so that many small mistakes in a
-- row do not pass one at a time. What is older than ten minutes was looked at by somebody, or is not to be saved any more.
local function ended_lately()
  local own = redis.call('HMGET', key, 'lately', 'ended', 'ended_at', 'released')
  local all = own[1] or ''
  if tonumber(own[2] or 0) > 0 and own[3] and not own[4] then all = all .. ',' .. own[3] .. ':' .. own[2] end
  local kept = {}
  for at, count in string.gmatch(all, '(%d+):(%d+)') do
    if tonumber(at) > now - 600000 then kept[#kept + 1] = at .. ':' .. count end
  end
  return table.concat(kept, ',')
end

-- Whether anybody else has said within half a minute that it decides by the current set.
local function is_held()
  local all = redis.call('HGETALL', key)
  local by = {}
  for i = 1, #all, 2 do by[all[i]] = all[i + 1] end
  for name, theirs in pairs(by) do
    local other = string.match(name, '^i:(.*)$')
    if other and other ~= program and theirs == current and now - tonumber(by['s:' .. other] or 0) < 30000 then return true end
  end
  return false
end

local takes
if not current then
  takes = true
elseif current == hash then
  takes = false
elseif from == current then
  takes = true
elseif from ~= hash and not string.find(past, hash, 1, true) then
  takes = true
else
  -- It was in force before, or was overtaken: only where nobody is left with the newer one.
  takes = not is_held()
end
redis.call('HDEL', key, 'none')
if takes then
  local kept = current and string.sub(current .. ',' .. past, 1, 20 * 65) or ''
  local lately = ended_lately()
  redis.call('HSET', key, 'current', hash, 'adopted', now, 'past', kept, 'state', 'due', 'asked', now, 'ended', 0, 'lately', lately)
  redis.call('HDEL', key, 'released', 'actor', 'live', 'doomed', 'held', 'token', 'ended_at')
  -- Programs that were not seen for two days have names that nobody uses again.
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local other = string.match(all[i], '^s:(.*)$')
    if other and now - tonumber(all[i + 1]) > 2 * DAY then redis.call('HDEL', key, 's:' .. other, 'i:' .. other) end
  end
elseif current == hash and from ~= hash then
  -- Until now it issued by another set: what it issued since the others were judged is still to be.
  redis.call('HSET', key, 'asked', now)
  if state == 'done' then redis.call('HSET', key, 'state', 'due') end
end
redis.call('HSET', key, 'i:' .. program, hash, 's:' .. program, now)
local role = (takes or current == hash) and 'current' or 'other'
return { role, now, redis.call('HGETALL', key) }
