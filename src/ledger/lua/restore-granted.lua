-- What was granted to holders before, of a lease that is over: history only. Idempotent. KEYS[1] tag.
-- ARGV[1] lease, ARGV[2] the record as it is stored, ARGV[3] granted at, ARGV[4] keep for ms. Returns nothing.
local rec = cjson.decode(ARGV[2])
for _, holder in ipairs(rec.holders) do
  local key = T .. 'h:' .. holder
  local changed = false
  for _, member in ipairs(remembered(rec)) do
    if redis.call('HSETNX', key, 'g:' .. member, 1) == 1 then changed = true end
    redis.call('ZADD', key .. ':g', 'GT', ARGV[3], member)
  end
  redis.call('HSETNX', key, 'last', ARGV[1])
  for _, name in ipairs(surpassable(rec)) do redis.call('HSETNX', key, name, bare_id(ARGV[1])) end
  if changed then redis.call('HINCRBY', key, 'v', 1) end
  keep(key, tonumber(ARGV[4]))
  keep(key .. ':g', tonumber(ARGV[4]))
end
return 1
