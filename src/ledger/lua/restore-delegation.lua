-- Writes a delegation again that the ledger lost, or that it has opened a task. Idempotent. KEYS[1] tag.
-- ARGV[1] delegation, ARGV[2] its record, ARGV[3] expires at ms, ARGV[4] the task that it opened or ''. Returns 1 | 0
local now = now_ms()
local expires = tonumber(ARGV[3])
if expires <= now then return 0 end
local key = T .. 'd:' .. ARGV[1]
local fresh = redis.call('HSETNX', key, 'rec', ARGV[2])
redis.call('HSETNX', key, 'expires', expires)
if ARGV[4] ~= '' then redis.call('HSETNX', key, 'opened', ARGV[4]) end
-- What one instance handed on another may have opened, and its replay may have come first.
for _, child in ipairs(redis.call('SMEMBERS', T .. 't:' .. cjson.decode(ARGV[2]).task .. ':c')) do
  local rec = redis.call('HGET', T .. 't:' .. child, 'rec')
  if rec and cjson.decode(rec).delegation == ARGV[1] then redis.call('HSETNX', key, 'opened', child) end
end
redis.call('PEXPIRE', key, expires - now)
return fresh
