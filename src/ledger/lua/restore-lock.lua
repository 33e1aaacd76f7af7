-- Sets a lock again that the ledger lost, from its audit record; the order that came with it is restored by itself. Idempotent.
-- KEYS[1] tag. ARGV[1] lock, ARGV[2] target's name, ARGV[3] its record as JSON without times, ARGV[4] created at, ARGV[5] expires
-- at ms or ''. Returns 1 | 0 (it stands, its time is up, or it is known to have been removed)
local expires = tonumber(ARGV[5])
if expires and expires <= now_ms() then return 0 end
if redis.call('EXISTS', T .. 'unlocked:' .. ARGV[1]) == 1 then return 0 end
local stored = { name = ARGV[2], lock = ARGV[3], at = tonumber(ARGV[4]), expires = expires }
if redis.call('HSETNX', T .. 'locks', ARGV[1], cjson.encode(stored)) == 0 then return 0 end
redis.call('HINCRBY', T .. 'locked', ARGV[2], 1)
local by = redis.call('HGET', T .. 'lockers', ARGV[2])
redis.call('HSET', T .. 'lockers', ARGV[2], by and (by .. ',' .. ARGV[1]) or ARGV[1])
if expires then redis.call('ZADD', T .. 'due:locks', expires, ARGV[1]) end
return 1
