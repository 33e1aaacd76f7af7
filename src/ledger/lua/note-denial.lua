-- Counts a denial for each holder, by minute. KEYS[1] tag. ARGV[1] JSON [holder, …]
local now = now_ms()
local minute = math.floor(now / 60000)
for _, holder in ipairs(cjson.decode(ARGV[1])) do
  local key = T .. 'h:' .. holder
  redis.call('HINCRBY', key, 'd:' .. (minute % 12), 1)
  -- The slot may hold another hour's count: `d:<slot>:m` says whose it is.
  if tonumber(redis.call('HGET', key, 'd:' .. (minute % 12) .. ':m')) ~= minute then
    redis.call('HSET', key, 'd:' .. (minute % 12), 1, 'd:' .. (minute % 12) .. ':m', minute)
  end
  keep(key, 2 * DAY)
end
return 'ok'
