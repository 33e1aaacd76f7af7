-- The sign that a broker takes requests: without one nobody's heartbeat can arrive. KEYS[1] tag. Returns 1
redis.call('HDEL', T .. 'locked', '')
note_sign('served', now_ms())
return 1
