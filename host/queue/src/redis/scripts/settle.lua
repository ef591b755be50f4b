-- Carries settlements out, each only if its token is still the job's. What is settled has no token any more, so that
-- a repeated call changes nothing. A job that somebody asked to cancel does not run again.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 how long to keep what is cancelled, in µs · 3 for how many µs a job is kept that
--          has just succeeded: at its first start, and with no jobs that come with it · 4 how many such jobs there are,
--          then four for each of them: id · token · reply · history
--          then five for each other settlement: id · token · what becomes of it · reply · history
--          What becomes of it, words with one space between them: verb (complete, retry, bury, release, cancel), span in µs
--          (how long to keep, or to wait), outcome, starts, failures, waits, lost, how many jobs come with it, and the
--          fingerprint of the error, or nothing.
--          After the five come seven for each of those jobs: its queue ('' = this one) · its six texts (accept.lua)
-- Returns  for each settlement 1 if it was carried out, 0 if the lease was no longer the caller's
-- States   running → succeeded, scheduled, queued, dead, cancelled; of the jobs that come with it, and of
--          those that follow (none) → queued, scheduled
local KEEP_CANCELLED, KEEP, bare_ones = ARGV[2], ARGV[3], tonumber(ARGV[4])
local WORDS = '^(%a+) (%d+) ([%a_]+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S*)$'
local ENDS, now_text = { complete = 'succeeded', bury = 'dead', cancel = 'cancelled' }, text(now)
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

-- Now and so many µs, as text; the span is one of few, and a text too.
local after = setmetatable({}, { __index = function(known, span)
  known[span] = text(now + tonumber(span))
  return known[span]
end })

-- A job goes back to where it waits; answers its state, a field of it and the value, and until when it may start.
local function go_back(id, key, verb, span)
  local job = redis.call('HMGET', key, 'priority', 'key', 'score', 'start_by')
  local priority = number(job[1]) or 0
  if verb == 'retry' and span ~= '0' then
    enter('scheduled', after[span], id)
    return 'scheduled', 'run_at', after[span], job[4]
  elseif verb == 'retry' then
    enter('queued', place(priority, job[2]), id)
    return 'queued', 'run_at', now_text, job[4]
  end
  -- Released: the place it had.
  local score = number(job[3]) and job[3] or place(priority, job[2])
  enter('queued', score, id)
  return 'queued', 'score', score, job[4]
end

local released, NOTHING = {}, {}
local i = 5
while i <= #ARGV do
  local id, bare = ARGV[i], bare_ones > 0
  local verb, outcome, span, jobs = 'complete', 'succeeded', KEEP, 0
  local fields, starts, failures, waits, lost, fingerprint = 4, nil, nil, nil, nil, nil
  if bare then
    bare_ones = bare_ones - 1
  else
    fields = 5
    verb, span, outcome, starts, failures, waits, lost, jobs, fingerprint = string.match(ARGV[i + 2], WORDS)
  end
  local answer, history = ARGV[i + fields - 2], ARGV[i + fields - 1]
  local key = record(id)
  local job, asked = redis.pcall('HMGET', key, 'token', 'v'), NOTHING
  if job[1] ~= ARGV[i + 1] then
    reply[#reply + 1] = 0
  else
    reply[#reply + 1] = 1
    if job[2] ~= PLAIN then asked = redis.call('HMGET', key, 'cancel', 'counted', 'unique', 'flow') end
    local cancel, counted, unique, flow = asked[1], asked[2], asked[3], asked[4]
    for j = i + fields, i + fields + 7 * jobs - 1, 7 do send(unpack(ARGV, j, j + 6)) end
    gone[#gone + 1] = id
    if counted then released[#released + 1] = counted end
    if cancel and not ENDS[verb] then verb, span = 'cancel', KEEP_CANCELLED end
    local state, field, value, start_by = ENDS[verb], 'finished', now_text, nil
    if not state then
      state, field, value, start_by = go_back(id, key, verb, span)
    else
      if unique and redis.call('HGET', key, 'scope') ~= 'time' then let_go(id, unique) end
      if verb == 'bury' then
        enter(state, value, id)
      elseif span ~= '0' then
        enter(state, after[span], id)
      end
    end
    if verb == 'complete' and span == '0' then
      redis.call('UNLINK', key)
    else
      -- Not started yet, it may still expire.
      if start_by and starts == '0' then enter('start-by', start_by, id) end
      redis.call('HSET', key, 'state', state, 'token', '', field, value, 'outcome', outcome, 'history', history, 'reply', answer)
      if not bare then
        redis.call('HSET', key, 'starts', starts, 'failures', failures, 'waits', waits, 'lost', lost)
        no_longer_plain(key, job[2])
        if fingerprint ~= '' then redis.call('HSET', key, 'fingerprint', fingerprint) end
      elseif asked ~= NOTHING then
        redis.call('HSET', key, 'starts', '1', 'failures', '0', 'waits', '0', 'lost', '0')
      end
      if cancel or counted then redis.call('HDEL', key, 'cancel', 'counted') end
      if state == 'dead' then count_dead(id) end
    end
    if flow and ENDS[verb] then ended(flow, state, answer) end
  end
  i = i + fields + 7 * jobs
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
