#!lua flags=allow-oom
-- Carries settlements out, each only if its token is still the job's. What is settled has no token any more, so that
-- a repeated call changes nothing.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now in µs ('' = ask TIME), then ten for each settlement:
--          id · token · verb (complete, retry, bury, release, cancel) · span in µs (how long to keep, or to wait)
--          reply · starts · failures · waits · outcome · history
-- Returns  for each settlement 1 if it was carried out, 0 if the lease was no longer the caller's
-- States   running → succeeded, scheduled, queued, dead, cancelled
local FIELDS, PRIORITY_STEP = 10, 2^40
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Whole numbers as text: Redis would print a number of Lua's as a double, which is slow.
local function text(number) return string.format('%d', number) end
local at = text(now)

local gone, entries, reply = {}, {}, {}
local function enter(index, score, id)
  local list = entries[index] or {}
  entries[index] = list
  list[#list + 1] = score
  list[#list + 1] = id
end

for i = 2, #ARGV, FIELDS do
  local id, verb, span = ARGV[i], ARGV[i + 2], tonumber(ARGV[i + 3])
  local key = KEYS[1] .. ':' .. id
  if redis.pcall('HGET', key, 'token') ~= ARGV[i + 1] then
    reply[#reply + 1] = 0
  else
    reply[#reply + 1] = 1
    gone[#gone + 1] = id
    if verb == 'complete' and span <= 0 then
      redis.call('UNLINK', key)
    else
      local state, field, value
      if verb == 'complete' then
        state, field, value = 'succeeded', 'finished', at
        enter(7, text(now + span), id)
      elseif verb == 'bury' then
        state, field, value = 'dead', 'finished', at
        enter(8, at, id)
      elseif verb == 'cancel' then
        state, field, value = 'cancelled', 'finished', at
        enter(9, text(now + span), id)
      elseif verb == 'retry' and span > 0 then
        state, field, value = 'scheduled', 'run_at', text(now + span)
        enter(3, value, id)
      elseif verb == 'retry' then
        local priority = tonumber(redis.call('HGET', key, 'priority') or 0)
        state, field, value = 'queued', 'run_at', at
        enter(2, text(redis.call('INCR', KEYS[4]) - priority * PRIORITY_STEP), id)
      else
        -- Release: the place it had.
        local score = redis.call('HGET', key, 'score')
        state, field, value = 'queued', 'score', score
        enter(2, score, id)
      end
      redis.call('HSET', key, 'state', state, 'token', '', field, value, 'starts', ARGV[i + 5], 'failures', ARGV[i + 6],
        'waits', ARGV[i + 7], 'outcome', ARGV[i + 8], 'history', ARGV[i + 9], 'reply', ARGV[i + 4])
    end
  end
end

-- As in enqueue: a message when the queue stops being empty, and when a job is due before all others.
local wake = entries[2] and redis.call('ZCARD', KEYS[2]) == 0
local first = entries[3] and redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
for index, list in pairs(entries) do
  for i = 1, #list, 4000 do
    redis.call('ZADD', KEYS[index], unpack(list, i, math.min(i + 3999, #list)))
  end
end
if entries[3] then
  wake = wake or not first or tonumber(redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]) < tonumber(first)
end
for i = 1, #gone, 4000 do
  redis.call('ZREM', KEYS[6], unpack(gone, i, math.min(i + 3999, #gone)))
end
if wake then redis.call('PUBLISH', KEYS[5], '') end
return reply
