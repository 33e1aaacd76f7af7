-- A holder's denials by minute, as the audit tells of them. What stands there stays where it is more: each instance knows a part.
-- KEYS[1] tag. ARGV[1] holder, ARGV[2] JSON [[minute, count], …]. Returns nothing.
local key = T .. 'h:' .. ARGV[1]
local running = math.floor(now_ms() / 60000)
for _, one in ipairs(cjson.decode(ARGV[2])) do
  local minute, count = one[1], one[2]
  if minute > running - 12 and minute <= running then
    local slot = 'd:' .. (minute % 12)
    local was = redis.call('HMGET', key, slot, slot .. ':m')
    if tonumber(was[2]) ~= minute or tonumber(was[1] or 0) < count then
      redis.call('HSET', key, slot, count, slot .. ':m', minute)
      keep(key, 2 * DAY)
    end
  end
end
return 1
