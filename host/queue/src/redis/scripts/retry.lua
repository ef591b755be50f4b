-- Queues jobs again that have ended without success, to run now: fresh counters, the history stays.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME), then the ids
-- Returns  for each id 1 if it was queued, 0 if it is neither dead nor cancelled nor expired, -1 if it is not in this queue
-- States   dead, cancelled, expired → queued
local FROM = { dead = true, cancelled = true, expired = true }
local reply, entries = {}, {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local job = redis.call('HMGET', record(id), 'state', 'priority', 'key', 'unique', 'scope', 'flow')
  local state = job[1]
  if state and FROM[state] then
    if state == 'dead' then ends.uncount_dead(id) end
    redis.call('ZREM', K[state], id)
    -- Whoever starts it by hand wants it started, however late.
    redis.call('HDEL', record(id), 'finished', 'start_by', 'fingerprint')
    redis.call('HSET', record(id), 'state', 'queued', 'run_at', text(now), 'starts', 0, 'failures', 0, 'waits', 0, 'lost', 0)
    if job[4] and job[5] ~= 'time' then
      -- One that was held for a time which has passed is free, though promote has not been here yet.
      local held_until = tonumber(redis.call('ZSCORE', K['unique-until'], job[4]) or now + 1)
      if held_until <= now then ends.let_go(redis.call('HGET', K.unique, job[4]), job[4]) end
      redis.call('HSETNX', K.unique, job[4], id)
    end
    if job[6] then flow.rejoin(id, job[6], state) end
    entries[#entries + 1] = place(number(job[2]) or 0, job[3])
    entries[#entries + 1] = id
  end
  reply[#reply + 1] = not state and -1 or FROM[state] and 1 or 0
end
queue_up(entries)
return done(reply)
