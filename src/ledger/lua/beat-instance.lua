-- Says that this instance is there and how far its audit goes, if Redis still knows all that it acknowledged. KEYS[1] tag.
-- ARGV[1] instance, ARGV[2] incarnation, ARGV[3] turn that Redis acknowledged last, ARGV[4] this turn, ARGV[5] audit sequence,
-- ARGV[6] the sequence that Redis must have, ARGV[7] 1 after a replay: what was lost is back, ARGV[8] the server (its run id)
-- that answered last, or ''
-- Returns { 'lost', incarnation or '', its successor or '', wal }
--   | { 'moved', server }: another one answers, and knows perhaps less
--   | { 'behind', wal, 1 when it went back, else 0: the sequence alone is behind, last known beat ms or '' }
--   | { 'ok', now, { instance, beaten at, … }, why an operator has to resume it or '', turn, { server, replicas that
--   have all it sends, percent of its memory in use, its maxmemory-policy or '' } }
local now = now_ms()
local mine = redis.call('HMGET', T .. 'wal', ARGV[1], ARGV[1] .. '/n', ARGV[1] .. '/t')
local wal, turn = tonumber(mine[1]) or 0, tonumber(mine[2]) or 0
local incarnation = redis.call('GET', T .. 'incarnation')
if incarnation ~= ARGV[2] then
  return { 'lost', incarnation or '', redis.call('GET', T .. 'recovered:' .. ARGV[2]) or '', wal }
end
-- Of one section; '' where its user may not ask.
local function info(section)
  local text = redis.pcall('INFO', section)
  return type(text) == 'string' and text or ''
end
local server = string.match(info('server'), 'run_id:(%x+)') or ''
if ARGV[8] ~= '' and server ~= ARGV[8] then return { 'moved', server } end
local back = turn < tonumber(ARGV[3])
if ARGV[7] ~= '1' and (back or wal < tonumber(ARGV[6])) then return { 'behind', wal, back and 1 or 0, mine[3] or '' } end
turn = math.max(turn, tonumber(ARGV[4]))
redis.call('HSET', T .. 'wal', ARGV[1], math.max(wal, tonumber(ARGV[5])), ARGV[1] .. '/n', turn, ARGV[1] .. '/t', now)
redis.call('ZADD', T .. 'instances', now, ARGV[1])
-- A key without an end needs a bound: whoever was not seen for a month is forgotten, and replays all it has if it returns.
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', T .. 'instances', '-inf', now - 30 * DAY)) do
  redis.call('ZREM', T .. 'instances', gone)
  redis.call('HDEL', T .. 'wal', gone, gone .. '/n', gone .. '/t')
end

-- 0 where it has no limit.
local memory = info('memory')
local used, most = string.match(memory, 'used_memory:(%d+)'), tonumber(string.match(memory, 'maxmemory:(%d+)'))
local percent = used and most and most > 0 and math.floor(tonumber(used) * 100 / most) or 0
-- One that is still being sent the whole of it acknowledges nothing for as long as that takes.
local _, online = string.gsub(info('replication'), 'slave%d+:[^\r\n]*state=online', '')
local others = redis.call('ZRANGEBYSCORE', T .. 'instances', now - 20000, '+inf', 'WITHSCORES')
local paused = redis.call('GET', T .. 'paused') or ''
local policy = string.match(memory, 'maxmemory_policy:(%S+)') or ''
return { 'ok', now, others, paused, turn, { server, online, percent, policy } }
