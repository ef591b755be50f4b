#!lua flags=allow-oom
-- Cancels jobs that are scheduled or queued.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now in µs ('' = ask TIME) · 2 how long to keep them, in µs, then the ids
-- Returns  for each id 1 if it was cancelled, 0 if it runs or has ended, -1 if it is not in this queue
-- States   scheduled, queued → cancelled
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local from, reply = { queued = KEYS[2], scheduled = KEYS[3] }, {}
for i = 3, #ARGV do
  local key = KEYS[1] .. ':' .. ARGV[i]
  local state = redis.call('HGET', key, 'state')
  if state and from[state] then
    redis.call('ZREM', from[state], ARGV[i])
    redis.call('HSET', key, 'state', 'cancelled', 'finished', now)
    redis.call('ZADD', KEYS[9], now + tonumber(ARGV[2]), ARGV[i])
  end
  reply[#reply + 1] = not state and -1 or from[state] and 1 or 0
end
return reply
