#!lua flags=allow-oom
-- Queues dead or cancelled jobs again, to run now: fresh counters, the history stays.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now in µs ('' = ask TIME), then the ids
-- Returns  for each id 1 if it was queued, 0 if it is neither dead nor cancelled, -1 if it is not in this queue
-- States   dead, cancelled → queued
local PRIORITY_STEP = 2^40
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local from, reply = { dead = KEYS[8], cancelled = KEYS[9] }, {}
local empty, moved = redis.call('ZCARD', KEYS[2]) == 0, false
for i = 2, #ARGV do
  local key = KEYS[1] .. ':' .. ARGV[i]
  local job = redis.call('HMGET', key, 'state', 'priority')
  local state = job[1]
  if state and from[state] then
    redis.call('ZREM', from[state], ARGV[i])
    redis.call('HDEL', key, 'finished')
    redis.call('HSET', key, 'state', 'queued', 'run_at', now, 'starts', 0, 'failures', 0, 'waits', 0)
    redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[4]) - (tonumber(job[2]) or 0) * PRIORITY_STEP, ARGV[i])
    moved = true
  end
  reply[#reply + 1] = not state and -1 or from[state] and 1 or 0
end
if empty and moved then redis.call('PUBLISH', KEYS[5], '') end
return reply
