-- Says that this instance is there and how far its audit goes, if Redis still knows all that it acknowledged. KEYS[1] tag.
-- ARGV[1] instance, ARGV[2] incarnation, ARGV[3] turn that Redis acknowledged last, ARGV[4] this turn, ARGV[5] audit sequence,
-- ARGV[6] the sequence that Redis must have, ARGV[7] 1 after a replay: what was lost is back
-- Returns { 'lost', incarnation or '', its successor or '', wal } | { 'behind', now, wal, turn }
--   | { 'ok', now, { instance, beaten at, … } }
local now = now_ms()
local mine = redis.call('HMGET', T .. 'wal', ARGV[1], ARGV[1] .. '/n')
local wal, turn = tonumber(mine[1]) or 0, tonumber(mine[2]) or 0
local incarnation = redis.call('GET', T .. 'incarnation')
if incarnation ~= ARGV[2] then
  return { 'lost', incarnation or '', redis.call('GET', T .. 'recovered:' .. ARGV[2]) or '', wal }
end
if ARGV[7] ~= '1' and (turn < tonumber(ARGV[3]) or wal < tonumber(ARGV[6])) then return { 'behind', now, wal, turn } end
redis.call('HSET', T .. 'wal', ARGV[1], math.max(wal, tonumber(ARGV[5])), ARGV[1] .. '/n', math.max(turn, tonumber(ARGV[4])))
redis.call('ZADD', T .. 'instances', now, ARGV[1])
-- A key without an end needs a bound: whoever was not seen for a month is forgotten, and replays all it has if it returns.
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', T .. 'instances', '-inf', now - 30 * DAY)) do
  redis.call('ZREM', T .. 'instances', gone)
  redis.call('HDEL', T .. 'wal', gone, gone .. '/n')
end
return { 'ok', now, redis.call('ZRANGEBYSCORE', T .. 'instances', now - 20000, '+inf', 'WITHSCORES') }
