-- Makes available what has become due: scheduled jobs, the earliest first, and jobs that a limit held. Expires what was not
-- started in time, and removes records that are kept no longer.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 at most so many of each kind · 3 how long to keep what expires, in µs
--          4 how long to keep dead jobs, in µs · 5 at most so many bytes of them
-- Returns  how many moved · 1 if there is more to do at once · µs until something is due next: a scheduled job, a lease's
--          end, a held or periodic job, a job that expires (-1 = nothing is) · now · the periodic jobs whose time has
--          come, each as name, time and what is kept of it: they are fired one by one · jobs from the outbox, each as
--          its entry's name, its queue and its six texts (accept.lua); who does not say `sent` within OUTBOX_AGAIN has not
--          sent them
-- States   scheduled → queued; scheduled, queued → expired; succeeded, cancelled, expired, dead → (none)
local OUTBOX_AGAIN, OUTBOX_BYTES = 30 * 1000000, 4 * 1024 * 1024
local max, keep = tonumber(ARGV[2]), tonumber(ARGV[3])

local function due(key) return redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, max) end

-- Before anything is made available: what is too late does not start.
local late = due(K['start-by'])
local more = #late == max
for _, id in ipairs(late) do
  local job = ends.leaving(id)
  if job.state == 'scheduled' or job.state == 'queued' then ends.end_unrun(id, job, 'expired', keep) end
  redis.call('ZREM', K['start-by'], id)
end

local ids = due(K.scheduled)
more = more or #ids == max
local entries = {}
if #ids > 0 and not is_fair() then reserve(#ids) end
for _, id in ipairs(ids) do
  local job = redis.pcall('HMGET', record(id), 'state', 'priority', 'key')
  if job[1] == 'scheduled' then
    redis.call('HSET', record(id), 'state', 'queued')
    entries[#entries + 1] = place(number(job[2]) or 0, job[3])
    entries[#entries + 1] = id
  end
  redis.call('ZREM', K.scheduled, id)
end
queue_up(entries)

-- What workers of older versions held: its record was of a newer one to them.
for version = 2, VERSION do
  local name = 'record:' .. text(version)
  if redis.call('EXISTS', K['held:' .. name]) == 1 then limits.let_back(name, max) end
end

local left = max
for _, name in ipairs(due(K.again)) do
  if name == 'queue' then
    redis.call('ZREM', K.again, name)
    wake = true
  elseif left > 0 then
    left = left - limits.let_back(name, left)
    if left == 0 then limits.look_again(name, now) end
  end
end
more = more or left == 0

for _, state in ipairs({ 'succeeded', 'cancelled', 'expired' }) do
  local expired = due(K[state])
  more = more or #expired == max
  if #expired > 0 then
    local keys = {}
    for i, id in ipairs(expired) do keys[i] = RECORD .. id end
    redis.call('UNLINK', unpack(keys))
    for _, key in ipairs({ K.short, K.ended }) do redis.call('HDEL', key, unpack(expired)) end
    redis.call('ZREM', K[state], unpack(expired))
  end
end

-- Batches that ended long enough ago; their jobs go in their own time.
local over = due(K['batches-ended'])
more = more or #over == max
for _, batch in ipairs(over) do
  redis.call('UNLINK', flow.batch_key(batch), K['batch-jobs:' .. batch])
  redis.call('ZREM', K.batches, batch)
  redis.call('ZREM', K['batches-ended'], batch)
end

-- Forgets a dead job; a unique key that it holds for a time it goes on holding, for no person wanted it gone.
local function forget_dead(id)
  local job = ends.leaving(id)
  job.unique = nil
  ends.forget(id, job)
end

-- Dead jobs that are too old; then, while there are too many bytes of them, the oldest.
local dead = redis.call('ZRANGE', K.dead, '-inf', now - tonumber(ARGV[4]), 'BYSCORE', 'LIMIT', 0, max)
for _, id in ipairs(dead) do
  forget_dead(id)
  -- One whose record has gone is only cleaned away.
  redis.call('ZREM', K.dead, id)
end
more = more or #dead == max
local removed = 0
while removed < max and tonumber(redis.call('GET', K['dead-bytes']) or 0) > tonumber(ARGV[5]) do
  local oldest = redis.call('ZRANGE', K.dead, 0, 0)[1]
  if not oldest then
    redis.call('DEL', K['dead-bytes'])
    break
  end
  forget_dead(oldest)
  redis.call('ZREM', K.dead, oldest)
  removed = removed + 1
end
more = more or removed == max

-- What has passed: unique keys held for a time, buckets that are full again, turns that are everybody's.
for _, unique in ipairs(due(K['unique-until'])) do
  redis.call('HDEL', K.unique, unique)
  redis.call('ZREM', K['unique-until'], unique)
end
redis.call('ZREMRANGEBYSCORE', K.buckets, '-inf', now)
if is_fair() then
  local turns = redis.call('HGETALL', K.fair)
  for i = 1, #turns, 2 do
    local priority = tonumber(turns[i])
    -- Where nobody waits, nobody's next turn matters.
    if priority and redis.call('EXISTS', K.queued, K.held) == 0 then
      redis.call('UNLINK', K['turns:' .. turns[i]])
    elseif priority then
      redis.call('ZREMRANGEBYSCORE', K['turns:' .. turns[i]], '-inf', leased_turn(priority))
    end
  end
end

local crons, come = {}, redis.call('ZRANGE', K['cron-due'], '-inf', now, 'BYSCORE', 'LIMIT', 0, 50, 'WITHSCORES')
for i = 1, #come, 2 do
  crons[#crons + 1] = { come[i], tonumber(come[i + 1]), redis.call('HGET', K.cron, come[i]) or '' }
end

local letters, bytes = {}, 0
for _, name in ipairs(redis.call('ZRANGE', K['outbox-due'], '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
  local letter = redis.call('HGET', K.outbox, name)
  -- What a slow link carries in time; the others are due at once.
  bytes = bytes + (letter and #letter or 0)
  if bytes > OUTBOX_BYTES and #letters > 0 then break end
  if letter then
    letter = cmsgpack.unpack(letter)
    letters[#letters + 1] = { name, letter[1], letter[2] }
    redis.call('ZADD', K['outbox-due'], text(now + OUTBOX_AGAIN), name)
  else
    redis.call('ZREM', K['outbox-due'], name)
  end
end

local next = -1
for _, key in ipairs({ K['outbox-due'], K['cron-due'], K.scheduled, K.running, K.again, K['start-by'] }) do
  local first = first_score(key)
  if first and first < math.huge then
    local wait = math.max(first - now, 0)
    next = next < 0 and wait or math.min(next, wait)
  end
end
return done({ #entries / 2, more and 1 or 0, next, now, crons, letters })
