#!lua flags=allow-oom
-- Hands out jobs that are queued: highest priority first, then first in first out. Counts a start for each.
-- It may run while Redis is over its memory limit, like all scripts but enqueue: else a full Redis could never drain.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now in µs ('' = ask TIME) · 2 at most so many jobs · 3 at most so many bytes of payloads and histories
--          4 the lease's length in µs · 5 worker · 6 how many jobs the caller has already (with none, the first job is
--          given whatever its size)
-- Returns  now · 1 if there may be more · bytes of payloads and histories handed out, then one row for each lease:
--          id · token · starts · task · payload · options · at · run_at · priority · failures · waits · history
-- States   queued → running
local now, max, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local popped = redis.call('ZPOPMIN', KEYS[2], max)
local count = #popped / 2
local reply = { now, count == max and 1 or 0, 0 }
if count == 0 then return reply end

local token = redis.call('INCRBY', KEYS[4], count) - count
-- Whole numbers as text: Redis would print a number of Lua's as a double, which is slow.
local prefix, ends, worker = KEYS[1] .. ':', string.format('%d', now + tonumber(ARGV[4])), ARGV[5]
local running, bytes, has_some = {}, 0, tonumber(ARGV[6]) > 0
for i = 1, count do
  local id, score = popped[2 * i - 1], popped[2 * i]
  local key = prefix .. id
  local job = redis.pcall('HMGET', key, 'state', 'task', 'payload', 'options', 'at', 'run_at', 'priority', 'starts',
    'failures', 'waits', 'history')
  -- An id whose record has gone, or is not a queued job's, is only cleaned away.
  if job[1] == 'queued' then
    local payload, history = job[3] or '', job[11] or ''
    local size = #payload + #history
    if bytes + size > max_bytes and (#running > 0 or has_some) then
      for j = i, count do redis.call('ZADD', KEYS[2], popped[2 * j], popped[2 * j - 1]) end
      reply[2] = 1
      break
    end
    bytes = bytes + size
    local starts = (tonumber(job[8]) or 0) + 1
    redis.call('HSET', key, 'state', 'running', 'token', string.format('%d', token + i), 'worker', worker, 'starts',
      starts, 'score', score)
    running[#running + 1] = ends
    running[#running + 1] = id
    reply[#reply + 1] = {
      id, token + i, starts, job[2] or '', payload, job[4] or '', job[5] or '', job[6] or job[5] or '', job[7] or '0',
      job[9] or '0', job[10] or '0', history,
    }
  end
end
for i = 1, #running, 4000 do
  redis.call('ZADD', KEYS[6], unpack(running, i, math.min(i + 3999, #running)))
end
reply[3] = bytes
return reply
