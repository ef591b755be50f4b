-- Notes what a worker says of itself, and forgets workers that have been silent for too long. It may run while Redis is
-- over its memory limit, so that people see who drains it: what it keeps is bounded by the number of workers.
--
-- KEYS     1 workers · 2 when each is forgotten
-- ARGV     1 now in µs ('' = ask TIME) · 2 the worker's name · 3 what it says · 4 for how long that counts in µs
--          5 for how long it is shown after that in µs
-- Returns  OK
-- States   none: no job is touched
local name, ends = ARGV[2], now + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], name, text(now) .. ' ' .. text(ends) .. ' ' .. ARGV[3])
redis.call('ZADD', KEYS[2], text(ends + tonumber(ARGV[5])), name)

for _, silent in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('HDEL', KEYS[1], silent)
  redis.call('ZREM', KEYS[2], silent)
end
return redis.status_reply('OK')
