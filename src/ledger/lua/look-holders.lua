-- The holders of a task that does not exist yet. KEYS[1] tag. ARGV[1] JSON [[id, kind, windowMs]]
-- Returns { now, { { id, kind, fields, granted }, … } }
local now = now_ms()
local holders = {}
for i, holder in ipairs(cjson.decode(ARGV[1])) do holders[i] = look_at_holder(holder, now) end
return { now, holders }
