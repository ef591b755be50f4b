#!lua flags=allow-oom
-- Moves scheduled jobs whose time has come to queued, the earliest first, and removes records that are kept no longer.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now in µs ('' = ask TIME) · 2 at most so many of each kind
-- Returns  how many moved · 1 if there is more to do at once · µs until the next scheduled job is due or the next lease
--          expires (-1 = there is neither)
-- States   scheduled → queued; succeeded, cancelled → (none)
local PRIORITY_STEP = 2^40
local now, max = tonumber(ARGV[1]), tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local function due(index) return redis.call('ZRANGE', KEYS[index], '-inf', now, 'BYSCORE', 'LIMIT', 0, max) end

local ids = due(3)
local more, moved = #ids == max, 0
if #ids > 0 then
  local empty = redis.call('ZCARD', KEYS[2]) == 0
  local last = redis.call('INCRBY', KEYS[4], #ids) - #ids
  for i, id in ipairs(ids) do
    local key = KEYS[1] .. ':' .. id
    local job = redis.pcall('HMGET', key, 'state', 'priority')
    if job[1] == 'scheduled' then
      redis.call('HSET', key, 'state', 'queued')
      redis.call('ZADD', KEYS[2], last + i - (tonumber(job[2]) or 0) * PRIORITY_STEP, id)
      moved = moved + 1
    end
    redis.call('ZREM', KEYS[3], id)
  end
  if empty and moved > 0 then redis.call('PUBLISH', KEYS[5], '') end
end

for _, index in ipairs({ 7, 9 }) do
  local expired = due(index)
  more = more or #expired == max
  for _, id in ipairs(expired) do
    redis.call('UNLINK', KEYS[1] .. ':' .. id)
    redis.call('ZREM', KEYS[index], id)
  end
end

local next = -1
for _, index in ipairs({ 3, 6 }) do
  local first = tonumber(redis.call('ZRANGE', KEYS[index], 0, 0, 'WITHSCORES')[2])
  if first then
    local wait = math.max(first - now, 0)
    next = next < 0 and wait or math.min(next, wait)
  end
end
return { moved, more and 1 or 0, next }
