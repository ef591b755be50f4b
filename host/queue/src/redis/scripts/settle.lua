-- Carries settlements out, each only if its token is still the job's. What is settled has no token any more, so that
-- a repeated call changes nothing. A job that somebody asked to cancel does not run again.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 how long to keep what is cancelled, in µs · 3 how many jobs have just succeeded:
--          at their first start, and with no jobs that come with them, then three for each of them: id · token · for how
--          many µs it is kept, its history's length in bytes, that and its reply, with a space behind each of the numbers
--          then five for each other settlement: id · token · what becomes of it · reply · history
--          What becomes of it, words with one space between them: verb (complete, retry, bury, release, cancel), span in µs
--          (how long to keep, or to wait), outcome, starts, failures, waits, lost, how many jobs come with it, and the
--          fingerprint of the error, or nothing.
--          After the five come seven for each of those jobs: its queue ('' = this one) · its six texts (accept.lua)
-- Returns  for each settlement 1 if it was carried out, 0 if the lease was no longer the caller's
-- States   running → succeeded, scheduled, queued, dead, cancelled; of the jobs that come with it, and of
--          those that follow (none) → queued, scheduled
local KEEP_CANCELLED, brief = ARGV[2], tonumber(ARGV[3])
local WORDS = '^(%a+) (%d+) ([%a_]+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S*)$'
-- The number of jobs that come with it.
local JOBS = '^%a+ %d+ [%a_]+ %d+ %d+ %d+ %d+ (%d+) '
local ENDS, now_text = { complete = 'succeeded', bury = 'dead', cancel = 'cancelled' }, text(now)
local gone, entries, reply = {}, {}, {}
local function enter(index, score, id)
  local list = entries[index] or {}
  entries[index] = list
  local count = #list
  list[count + 1], list[count + 2] = score, id
end

-- Accepts a job that an attempt enqueued; one for another queue, which may be on another server, goes to the outbox.
local function send(queue, id, ...)
  if queue == '' then
    local job = accept.read_job(id, ...)
    if job then accept.job(job) end
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

local released = {}

-- Carries out the settlement of a job whose record is the hash of this key, and whose token was found to be right.
local function settle_record(id, key, words, jobs_from, answer, history)
  local verb, span, outcome, starts, failures, waits, lost, jobs, fingerprint = string.match(words, WORDS)
  local job = redis.call('HMGET', key, 'cancel', 'counted', 'unique', 'flow')
  local cancel, counted, unique, part_of = job[1], job[2], job[3], job[4]
  for j = jobs_from, jobs_from + 7 * jobs - 1, 7 do send(unpack(ARGV, j, j + 6)) end
  if tonumber(jobs) > 0 then accept.put() end
  if counted then released[#released + 1] = counted end
  if cancel and not ENDS[verb] then verb, span = 'cancel', KEEP_CANCELLED end
  local state, field, value, start_by = ENDS[verb], 'finished', now_text, nil
  if not state then
    state, field, value, start_by = go_back(id, key, verb, span)
  else
    if unique and redis.call('HGET', key, 'scope') ~= 'time' then ends.let_go(id, unique) end
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
    redis.call('HSET', key, 'state', state, 'token', '', field, value, 'outcome', outcome, 'history', history, 'reply', answer,
      'starts', starts, 'failures', failures, 'waits', waits, 'lost', lost)
    if fingerprint ~= '' then redis.call('HSET', key, 'fingerprint', fingerprint) end
    if cancel or counted then redis.call('HDEL', key, 'cancel', 'counted') end
    if state == 'dead' then ends.count_dead(id) end
  end
  if part_of and ENDS[verb] then flow.ended(part_of, state, answer) end
end

-- Whether the lease of this token is still its job's: of a short record, whose lease this is, or of a hash.
local function holds(id, token, lease)
  if lease then return is_of_token(lease, token) end
  return redis.pcall('HGET', RECORD .. id, 'token') == token
end

-- The same of one that has just succeeded.
local function settle_success(id, what)
  local keep, history, answer = parts_of_end(what)
  settle_record(id, record(id), 'complete ' .. text(keep) .. ' succeeded 1 0 0 0 0 ', 0, answer, history)
end

-- Short records end as short ones: the jobs' ids, what is written of them, and those that are not kept.
local over, texts, forgotten, kept = {}, {}, {}, 0
local function settle_short(id, what)
  local keep = string.match(what, '^%d+')
  over[#over + 1] = id
  if keep == '0' then
    forgotten[#forgotten + 1] = id
  else
    kept = kept + 1
    texts[2 * kept - 1], texts[2 * kept] = id, what
    enter('succeeded', after[keep], id)
  end
end

-- The leases of those with short records among the jobs that these arguments name.
local function leases_of(places)
  local ids = {}
  for n, place in ipairs(places) do ids[n] = ARGV[place] end
  return #ids > 0 and redis.call('HMGET', K.leased, unpack(ids)) or ids
end

-- Answers for the settlement at this place: whether it is carried out, as only the first one of a job is.
local done_with = {}
local function take(place, lease)
  local id = ARGV[place]
  local held = not done_with[id] and holds(id, ARGV[place + 1], lease)
  if held then
    done_with[id] = true
    gone[#gone + 1] = id
  end
  reply[#reply + 1] = held and 1 or 0
  return held
end

local places, i = {}, 4
for n = 1, brief do
  places[n] = i
  i = i + 3
end
local whole = {}
for n, lease in ipairs(leases_of(places)) do
  local place = places[n]
  if take(place, lease) then
    if lease and #ARGV[place + 2] <= SHORT then
      settle_short(ARGV[place], ARGV[place + 2])
    else
      whole[#whole + 1] = place
    end
  end
end
if #over > 0 then
  redis.call('HDEL', K.leased, unpack(over))
  if #texts > 0 then in_parts('HSET', K.ended, texts) end
  if #forgotten > 0 then redis.call('HDEL', K.short, unpack(forgotten)) end
end
-- After all of them: what follows one of these may have an id that is free by then.
for _, place in ipairs(whole) do settle_success(ARGV[place], ARGV[place + 2]) end

places = {}
while i <= #ARGV do
  places[#places + 1] = i
  i = i + 5 + 7 * string.match(ARGV[i + 2], JOBS)
end
for n, lease in ipairs(leases_of(places)) do
  local place = places[n]
  if take(place, lease) then
    local id = ARGV[place]
    settle_record(id, record(id), ARGV[place + 2], place + 5, ARGV[place + 3], ARGV[place + 4])
  end
end

if #gone > 0 then
  local limited = redis.call('EXISTS', K.limits) == 1
  local was_full = limited and limits.room('queue') == 0
  in_parts('ZREM', K.running, gone)
  if limited then limits.busy.queue = nil end
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
if #released > 0 then
  for _, counted in ipairs(released) do limits.end_under(counted) end
  limits.keep_counts()
end
return done(reply)
