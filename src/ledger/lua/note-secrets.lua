-- Digests by which values that were issued in a task are known again. KEYS[1] tag. ARGV[1] task, ARGV[2] JSON [digest].
local key = T .. 't:' .. ARGV[1]
local expires = tonumber(redis.call('HGET', key, 'expires'))
if not expires then return 'not_found' end
local fields = {}
for _, digest in ipairs(cjson.decode(ARGV[2])) do
  fields[#fields + 1] = digest
  fields[#fields + 1] = '1'
end
redis.call('HSET', key .. ':k', unpack(fields))
keep(key .. ':k', math.max(0, expires - now_ms()) + DAY)
return 'ok'
