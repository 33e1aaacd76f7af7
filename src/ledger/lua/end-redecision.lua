-- The judging is over: all that is no longer permitted was told to end, or waits for an operator's word. Must run out of memory: its
-- first write is HDEL. KEYS[1] tag. ARGV[1] hash, ARGV[2] token, ARGV[3] 'done' | 'waiting' | 'due' (given back), ARGV[4] live,
-- ARGV[5] those no longer permitted, ARGV[6] requirements. Returns 1 | 0: it is another's now, or the rules have changed
local key = T .. 'rules'
local was = redis.call('HMGET', key, 'current', 'token', 'asked', 'begun')
if was[1] ~= ARGV[1] or was[2] ~= ARGV[2] then return 0 end
redis.call('HDEL', key, 'held', 'token')
if ARGV[3] == 'due' then return 1 end
redis.call('HSET', key, 'live', ARGV[4], 'doomed', ARGV[5])
if ARGV[3] == 'waiting' then
  redis.call('HSET', key, 'state', 'waiting')
  return 1
end
-- A program that changed over after this began may have issued by the old set behind it.
local again = tonumber(was[3]) > tonumber(was[4])
redis.call('HSET', key, 'state', again and 'due' or 'done', 'applied', ARGV[1], 'covered', was[4], 'requires', ARGV[6])
return 1
