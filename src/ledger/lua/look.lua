-- All that a decision needs, in one round trip. KEYS[1] tag.
-- ARGV[1] task, ARGV[2] idempotency key digest or '', ARGV[3] account holder whose rate is counted or '', ARGV[4] requests per minute
-- Returns { 'ok', now, task fields, chain open 0|1, chain expires, { { id, kind, fields, granted }, … }, prior lease, prior body,
--           { { ancestor, fields }, … } from the parent up }
--       | { 'not_found' } | { 'rate', ms }
local key = T .. 't:' .. ARGV[1]
local now = now_ms()
if ARGV[3] ~= '' then
  local wait = count_request(ARGV[3], tonumber(ARGV[4]), now)
  if wait > 0 then return { 'rate', wait } end
end
local fields = redis.call('HGETALL', key)
if #fields == 0 then return { 'not_found' } end
local rec
for i = 1, #fields, 2 do
  if fields[i] == 'rec' then rec = cjson.decode(fields[i + 1]) end
end
local closed, expires = closed_task(rec.chain, now)
local open = closed and 0 or 1
local holders = {}
for i, holder in ipairs(rec.holders) do holders[i] = look_at_holder(holder, now) end
local prior = { false, false }
if ARGV[2] ~= '' then prior = redis.call('HMGET', key .. ':i', ARGV[2], ARGV[2] .. ':body') end
-- Who stands above is judged in the same breath, from what was recorded of them (I7).
local above = {}
for i = 2, #rec.chain do above[i - 1] = { rec.chain[i], redis.call('HGETALL', T .. 't:' .. rec.chain[i]) } end
return { 'ok', now, fields, open, expires, holders, prior[1] or '', prior[2] or '', above }
