-- Carries settlements out, each only if its token is still the job's. What is settled has no token any more, so that
-- a repeated call changes nothing. A job that somebody asked to cancel does not run again.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 how long to keep what is cancelled, in µs, then thirteen for each settlement:
--          id · token · verb (complete, retry, bury, release, cancel) · span in µs (how long to keep, or to wait)
--          reply · starts · failures · waits · lost · outcome · fingerprint of the error · history · how many jobs come
--          with it, then seven for each of these: its queue ('' = this one) · the six texts of the job (accept.lua)
-- Returns  for each settlement 1 if it was carried out, 0 if the lease was no longer the caller's
-- States   running → succeeded, scheduled, queued, dead, cancelled; of the jobs that come with it, and of
--          those that follow (none) → queued, scheduled
local FIELDS, KEEP_CANCELLED = 13, tonumber(ARGV[2])
local gone, entries, reply = {}, {}, {}
local function enter(index, score, id)
  local list = entries[index] or {}
  entries[index] = list
  list[#list + 1] = score
  list[#list + 1] = id
end

-- Accepts a job that an attempt enqueued; one for another queue, which may be on another server, goes to the outbox.
local function send(queue, id, ...)
  if queue == '' then
    local job = read_job(id, ...)
    if job then accept(job) end
    return
  end
  local name = queue .. ':' .. id
  redis.call('HSET', K.outbox, name, cmsgpack.pack({ queue, { id, ... } }))
  schedule(K['outbox-due'], { text(now), name })
end

local released = {}
local i, jobs = 3, 0
while i <= #ARGV do
  local id, verb, span = ARGV[i], ARGV[i + 2], tonumber(ARGV[i + 3])
  local key = record(id)
  jobs = tonumber(ARGV[i + 12])
  local job = redis.pcall('HMGET', key, 'token', 'cancel', 'counted', 'unique', 'scope', 'priority', 'key', 'score', 'start_by',
    'flow')
  if job[1] ~= ARGV[i + 1] then
    reply[#reply + 1] = 0
  else
    reply[#reply + 1] = 1
    for j = i + FIELDS, i + FIELDS + 7 * jobs - 1, 7 do send(unpack(ARGV, j, j + 6)) end
    gone[#gone + 1] = id
    if job[3] then released[#released + 1] = job[3] end
    if job[2] and (verb == 'retry' or verb == 'release') then verb, span = 'cancel', KEEP_CANCELLED end
    local starts, priority = ARGV[i + 5], number(job[6]) or 0
    local state, field, value
    if verb == 'retry' and span > 0 then
      state, field, value = 'scheduled', 'run_at', text(now + span)
      enter(state, value, id)
    elseif verb == 'retry' then
      state, field, value = 'queued', 'run_at', text(now)
      enter(state, place(priority, job[7]), id)
    elseif verb == 'release' then
      -- The place it had.
      state, field, value = 'queued', 'score', number(job[8]) and job[8] or place(priority, job[7])
      enter(state, value, id)
    else
      field, value = 'finished', text(now)
      if job[5] ~= 'time' then let_go(id, job[4]) end
      if verb == 'complete' then
        state = 'succeeded'
        if span > 0 then enter(state, text(now + span), id) end
      elseif verb == 'bury' then
        state = 'dead'
        enter(state, value, id)
      else
        state = 'cancelled'
        enter(state, text(now + span), id)
      end
    end
    if verb == 'complete' and span <= 0 then
      redis.call('UNLINK', key)
    else
      -- Not started yet, it may still expire.
      if job[9] and starts == '0' and (verb == 'retry' or verb == 'release') then enter('start-by', job[9], id) end
      redis.call('HSET', key, 'state', state, 'token', '', field, value, 'starts', starts, 'failures', ARGV[i + 6],
        'waits', ARGV[i + 7], 'lost', ARGV[i + 8], 'outcome', ARGV[i + 9], 'fingerprint', ARGV[i + 10],
        'history', ARGV[i + 11], 'reply', ARGV[i + 4])
      if job[2] or job[3] then redis.call('HDEL', key, 'cancel', 'counted') end
      if state == 'dead' then count_dead(id) end
    end
    if job[10] and state ~= 'scheduled' and state ~= 'queued' then ended(job[10], state, ARGV[i + 4]) end
  end
  i = i + FIELDS + 7 * jobs
end

if #gone > 0 then
  local limits = redis.call('EXISTS', K.limits) == 1
  local was_full = limits and room('queue') == 0
  in_parts('ZREM', K.running, gone)
  busy.queue = nil
  wake = wake or was_full and redis.call('EXISTS', K.queued) == 1
end
for index, list in pairs(entries) do
  if index == 'queued' then
    queue_up(list)
  elseif index == 'scheduled' or index == 'start-by' then
    schedule(K[index], list)
  else
    in_parts('ZADD', K[index], list)
  end
end
put_accepted()
for _, counted in ipairs(released) do end_under(counted) end
keep_counts()
return done(reply)
