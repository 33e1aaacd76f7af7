-- Digests by which values that were issued in a task are known again. KEYS[1] tag. ARGV[1] task, ARGV[2] JSON [digest].
local key = T .. 't:' .. ARGV[1]
local expires = tonumber(redis.call('HGET', key, 'expires'))
if not expires then return 'not_found' end
-- One by one: how many values a secret has is its provider's to say, and Lua hands over some 8,000 at once.
for _, digest in ipairs(cjson.decode(ARGV[2])) do redis.call('HSET', key .. ':k', digest, '1') end
keep(key .. ':k', math.max(0, expires - now_ms()) + DAY)
return 'ok'
