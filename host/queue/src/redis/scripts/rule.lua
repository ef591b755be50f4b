-- Sets what holds jobs of a queue back: a limit, or a pause. Counts those that run already.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts · 2 the limit's name (`queue`, `task:T`, `key:K`, `keys`) · 3 concurrency (-1 = no
--          limit) · 4 µs for each token (0 = no limit) · 5 tokens at most · 6 1 = paused, 0 = not, '' = as it was; 3 is '' if
--          only the pause is to change
-- Returns  1 if that changed anything, else 0
local name = ARGV[2]
local before = redis.call('HGET', K.limits, name)
local most, interval, burst, paused = string.match(before or '-1 0 0 0', '^(%S+) (%S+) (%S+) (%S+)$')
if ARGV[3] ~= '' then most, interval, burst = ARGV[3], ARGV[4], ARGV[5] end
if ARGV[6] ~= '' then paused = ARGV[6] end
local after = table.concat({ most, interval, burst, paused }, ' ')
if after == '-1 0 0 0' then
  redis.call('HDEL', K.limits, name)
  after = false
else
  redis.call('HSET', K.limits, name, after)
end
if before == after then return 0 end

-- Those that run already count, each once. All of them are counted anew, so that a count which another program has
-- spoiled is right again.
if name ~= 'queue' and after then
  local found = {}
  if name ~= 'keys' then found[name] = 0 end
  for _, id in ipairs(redis.call('ZRANGE', K.running, 0, -1)) do
    local job = redis.call('HMGET', record(id), 'task', 'key', 'counted')
    local names = limits.of(job[1] or '', job[2])
    local counted = job[3] or ''
    for _, under in ipairs(names) do
      found[under] = (found[under] or 0) + 1
      if not string.find('\n' .. counted .. '\n', '\n' .. under .. '\n', 1, true) then
        counted = counted == '' and under or counted .. '\n' .. under
      end
    end
    if counted ~= (job[3] or '') then redis.call('HSET', RECORD .. id, 'counted', counted) end
  end
  for under, count in pairs(found) do
    limits.busy[under] = count
    limits.changed[under] = true
  end
  limits.keep_counts()
end

-- A bucket is no emptier than empty: a rate that was raised holds at once, and one that was taken away is forgotten.
local function clamp(bucket)
  local full, limit = tonumber(redis.call('ZSCORE', K.buckets, bucket)), limits.rule(bucket)
  local latest = limit and now + limit.burst * limit.interval or 0
  if full and full > latest then redis.call('ZADD', K.buckets, text(latest), bucket) end
end
if name ~= 'keys' then
  clamp(name)
else
  for _, bucket in ipairs(redis.call('ZRANGE', K.buckets, 0, -1)) do
    if string.sub(bucket, 1, 4) == 'key:' then clamp(bucket) end
  end
end

-- What is held may start now.
if name == 'queue' then
  wake = redis.call('EXISTS', K.queued) == 1
elseif name == 'keys' then
  for _, held in ipairs(redis.call('ZRANGE', K.again, 0, -1)) do
    if string.sub(held, 1, 4) == 'key:' then limits.look_again(held, now) end
  end
elseif redis.call('EXISTS', K['held:' .. name]) == 1 then
  limits.look_again(name, now)
end
return done(1)
