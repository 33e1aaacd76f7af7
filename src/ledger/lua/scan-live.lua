-- A step through what may be alive and matches: only ids and access, since an order may reach a hundred thousand, and to read whole
-- leases would be a broker's work for many seconds. Redis keeps others waiting that long only, so a step is small.
-- KEYS[1] tag. ARGV[1] provider, ARGV[2] cursor, ARGV[3] JSON of the match (lease-match.ts: `matches`)
--   { lease?, state?, task?, policy?, principal?, account?, issuer?, action?, resource?, fingerprint?, issuedAfter?, issuedBefore?,
--     needles: texts that the record of any that matches holds }
-- ARGV[4] 1: also what has ended and stands in the index until its natural end
-- Returns { next cursor, lease, access, … }
local m = cjson.decode(ARGV[3])
local function has(list, wanted)
  for _, one in ipairs(list) do
    if one == wanted then return true end
  end
  return false
end

local function issuer_of(principal)
  return string.match(principal, '^[^:]*')
end

-- Whoever is named is meant with all that is below it in a chain (I7). `p` and `n`: the caller's, `u`: who stands above it.
local function is_of_any(rec, what, wanted)
  local own = { principal = rec.p, account = rec.n, issuer = issuer_of(rec.p) }
  if own[what] == wanted then return true end
  for _, actor in ipairs(rec.u or {}) do
    if (what == 'issuer' and issuer_of(actor.principal) or actor[what]) == wanted then return true end
  end
  return false
end

local function is_meant(id, fields)
  local state = fields[1]
  if not state or (ended_states[state] and ARGV[4] ~= '1') then return nil end
  if m.state and m.state ~= 'live' and m.state ~= state then return nil end
  if m.lease and m.lease ~= id then return nil end
  -- One whose mint is still running will have been issued after any time that is named now.
  local issued = tonumber(fields[3]) or math.huge
  if m.issuedAfter and issued <= m.issuedAfter then return nil end
  if m.issuedBefore and issued >= m.issuedBefore then return nil end
  -- To parse a record costs most of what the whole step does.
  for _, needle in ipairs(m.needles) do
    if not string.find(fields[2], needle, 1, true) then return nil end
  end
  if m.fingerprint and not string.find(fields[4] or '', m.fingerprint, 1, true) then return nil end
  local rec = cjson.decode(fields[2])
  if m.action and rec.action ~= m.action then return nil end
  if m.resource and rec.resource ~= m.resource then return nil end
  if m.task and not has(rec.chain, m.task) then return nil end
  if m.policy and not has(rec.y, m.policy) then return nil end
  if m.principal and not is_of_any(rec, 'principal', m.principal) then return nil end
  if m.account and not is_of_any(rec, 'account', m.account) then return nil end
  if m.issuer and not is_of_any(rec, 'issuer', m.issuer) then return nil end
  if m.fingerprint then
    -- [until, reference, fingerprint …]
    local known = { unpack(cjson.decode(fields[4] or '[]'), 3) }
    if not has(known, m.fingerprint) then return nil end
  end
  return rec.access
end

local step = redis.call('ZSCAN', T .. 'due:' .. ARGV[1], ARGV[2], 'COUNT', 100)
local found = { step[1] }
for i = 1, #step[2], 2 do
  local id = step[2][i]
  local access = is_meant(id, redis.call('HMGET', T .. 'l:' .. id, 'state', 'rec', 'issued', 'out'))
  if access then
    found[#found + 1] = id
    found[#found + 1] = access
  end
end
return found
