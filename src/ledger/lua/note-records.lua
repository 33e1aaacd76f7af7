-- Copies records that are in the audit to the bounded lists that brokers read: of all tasks, and of the task where it is known.
-- KEYS[1] tag. ARGV[1] JSON [per task, claimed per task, recent, recent claimed, orders], ARGV[2] JSON [task with a gap],
-- then for each record: task or '', 'records' | 'claimed' | 'orders', text.
local bounds = cjson.decode(ARGV[1])
local now = now_ms()
local shorter = { records = { 'tl', bounds[1], bounds[3] }, claimed = { 'tc', bounds[2], bounds[4] } }
local touched = {}
for i = 3, #ARGV, 3 do
  local task, kind, text = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if kind == 'orders' then
    redis.call('LPUSH', T .. 'audit:orders', text)
    kind = 'records'
  end
  redis.call('LPUSH', T .. 'audit:' .. kind, text)
  redis.call('HINCRBY', T .. 'audit', kind, 1)
  -- A record of a task that is forgotten would make a list without an end.
  if task ~= '' and (touched[task] or redis.call('EXISTS', T .. 't:' .. task) == 1) then
    touched[task] = touched[task] or {}
    touched[task][kind] = true
    redis.call('LPUSH', T .. 't:' .. task .. ':' .. shorter[kind][1], text)
  end
end
redis.call('LTRIM', T .. 'audit:orders', 0, bounds[5] - 1)
for kind, bound in pairs(shorter) do redis.call('LTRIM', T .. 'audit:' .. kind, 0, bound[3] - 1) end
for task, kinds in pairs(touched) do
  local key = T .. 't:' .. task
  local state = redis.call('HMGET', key, 'state', 'expires')
  local left = 0
  if state[1] == 'open' then left = math.max(0, tonumber(state[2]) - now) end
  for kind in pairs(kinds) do
    local list = key .. ':' .. shorter[kind][1]
    redis.call('LTRIM', list, 0, shorter[kind][2] - 1)
    -- A day after the task's end, like the task itself.
    if left > 0 then keep(list, left + DAY) else redis.call('PEXPIRE', list, DAY) end
  end
end
for _, task in ipairs(cjson.decode(ARGV[2])) do
  if redis.call('EXISTS', T .. 't:' .. task) == 1 then redis.call('HSET', T .. 't:' .. task, 'gap', 1) end
end
return 'ok'
