-- Writes a delegation again that the ledger lost, or that it has opened a task. Idempotent. KEYS[1] tag.
-- ARGV[1] delegation, ARGV[2] its record, ARGV[3] expires at ms, ARGV[4] the task that it opened or ''. Returns 1 | 0
local now = now_ms()
local expires = tonumber(ARGV[3])
if expires <= now then return 0 end
local key = T .. 'd:' .. ARGV[1]
local fresh = redis.call('HSETNX', key, 'rec', ARGV[2])
redis.call('HSETNX', key, 'expires', expires)
if ARGV[4] ~= '' then redis.call('HSETNX', key, 'opened', ARGV[4]) end
redis.call('PEXPIRE', key, expires - now)
return fresh
