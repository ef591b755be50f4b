-- What all scripts share. It stands before each of them (scripts.rs), so none of them says it again.
--
-- KEYS     1 `afresh:{Q}`, the queue; every other key is that and a name, which all stand here and in keys.rs
-- ARGV     1 now in µs ('' = ask TIME)
local PRIORITY_STEP, LATEST = 2^40, 2^53
local K = setmetatable({}, { __index = function(_, name) return KEYS[1] .. ':' .. name end })

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Whole numbers as text: Redis would print a number of Lua's as a double, which is slow.
local function text(number) return string.format('%d', number) end

-- What a record says as a whole number; nil where it says nothing, or another program has put something else there.
local function number(field) return field and string.find(field, '^%-?%d+$') and tonumber(field) or nil end

-- The version of the records that this program writes. One of a newer version waits for a worker that knows it: no other
-- leases it or takes it over. All else that scripts read of a record means the same in every version.
local VERSION = 3

-- The name under which a record of this version is held; nil for one that this program knows. What it was called in
-- version 2 may end with a `+`.
local function newer(v)
  v = tonumber(v and string.match(v, '^(%d+)%+?$'))
  return v and v > VERSION and 'record:' .. text(v) or nil
end

-- Lua hands at most about 8,000 values to one call.
local function in_parts(command, key, values)
  for i = 1, #values, 4000 do
    redis.call(command, key, unpack(values, i, math.min(i + 3999, #values)))
  end
end

-- Records -------------------------------------------------------------------------------------------------------------
-- A job's record is a hash of its own. Most jobs can do without: one that asks for nothing, is under no limit, is small
-- and succeeds at its first start has a *short* record, a text in each of up to three hashes of its queue:
--   short    VERSION AT TASK PAYLOAD
--   leased   TOKEN BEGUN SCORE WORKER, while it runs
--   ended    KEEP LENGTH HISTORY REPLY, once it has succeeded: the text that settle was given (settle.lua). It ended at its
--            place in `succeeded`, less KEEP
-- So accept, lease, extend, settle and promote read and write the records of a whole batch by one call, instead of one or
-- two for each job, which cost Redis more than all else. For whatever else is to be done with a job, `record` first makes its
-- record a hash.

-- The most bytes of a payload, and of history and reply together: a batch is read before it is known what fits.
local SHORT = 2048

local RECORD = KEYS[1] .. ':job:'

-- For how long a job is kept that has just succeeded, its history, and its reply, as settle is given them.
local function parts_of_end(over)
  local keep, length, rest = string.match(over, '^(%d+) (%d+) (.*)$')
  if not keep then return 0, '', '' end
  return tonumber(keep), string.sub(rest, 1, length), string.sub(rest, length + 1)
end

-- What a short record says, by the names of a record's fields; nil if the job has none. Whatever another program has put
-- there, it is a queued job's at least, so that a worker takes it and buries it.
local function short_record(id)
  local short = redis.call('HGET', K.short, id)
  if not short then return nil end
  local v, at, task, payload = string.match(short, '^(%d+) (%d+) (%S+) (.*)$')
  local job = { v = v or text(VERSION), state = 'queued', at = at, task = task, payload = payload or short }
  local lease, over = redis.call('HGET', K.leased, id), redis.call('HGET', K.ended, id)
  if lease then
    job.state, job.starts = 'running', '1'
    job.token, job.begun, job.score, job.worker = string.match(lease, '^(%d+) (%d) (%S+) (.*)$')
  elseif over then
    local keep, kept_until = nil, redis.call('ZSCORE', K.succeeded, id)
    keep, job.history, job.reply = parts_of_end(over)
    job.state, job.starts, job.outcome = 'succeeded', '1', 'succeeded'
    job.finished = kept_until and text(kept_until - keep)
  end
  return job
end

-- Makes a job's record a hash, if it is a short one.
local function write_out(id)
  local job, fields = short_record(id), {}
  if not job then return end
  for name, value in pairs(job) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  redis.call('HSET', RECORD .. id, unpack(fields))
  redis.call('HDEL', K.short, id)
  redis.call('HDEL', K.leased, id)
  redis.call('HDEL', K.ended, id)
end

-- The key of a job's record, which is a hash from now on.
local function record(id)
  write_out(id)
  return RECORD .. id
end

-- Whether to send a message at the end. A worker waits only after a lease that came back short, and until the time that
-- promote told it; so a message is needed when the queue stops being empty, and when something is due before all others.
-- The latter says `due`: a lease does not find out what is due when, so the worker has to ask promote.
local wake, due_first = false, false
local function done(reply)
  if wake or due_first then redis.call('PUBLISH', K.wake, due_first and 'due' or '') end
  return reply
end

local function first_score(key) return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) end

-- Adds jobs that may be leased; `entries` are scores and ids.
local function queue_up(entries)
  if #entries == 0 then return end
  wake = wake or redis.call('ZCARD', K.queued) == 0
  in_parts('ZADD', K.queued, entries)
end

-- Adds something that is due at its score to an index that promote looks at.
local function schedule(key, entries)
  if #entries == 0 then return end
  local before = first_score(key)
  in_parts('ZADD', key, entries)
  due_first = due_first or not before or first_score(key) < before
end

-- Fairness ------------------------------------------------------------------------------------------------------------
-- In a fair queue keys take turns (start-time fair queueing, Goyal 1996): a job's place is its key's next turn, at least
-- the turn that was leased last; so a key that was away saves nothing up. Each priority has turns of its own.

local fair, turn_of = nil, {}
local function is_fair()
  if fair == nil then fair = redis.call('HGET', K.fair, 'since') end
  return fair
end

-- The turn of this priority that was leased last.
local function leased_turn(priority)
  local turn = turn_of[priority]
  if not turn then
    local leased = redis.call('HGET', K.fair, text(priority))
    -- Written down before the first lease, so that it is known which priorities have turns.
    if not leased then redis.call('HSET', K.fair, text(priority), fair) end
    turn = math.max(tonumber(leased or 0), tonumber(fair))
    turn_of[priority] = turn
  end
  return turn
end

-- Takes so many places at once, where that many jobs may join.
local next_place, last_place = 1, 0
local function reserve(count)
  last_place = redis.call('INCRBY', K.seq, count)
  next_place = last_place - count + 1
end

-- A new place in the queue as its score: behind all others of its priority, or in its key's turn.
local function place(priority, key)
  local turn
  if is_fair() then
    local turns, member = K['turns:' .. text(priority)], key or ''
    turn = math.max(leased_turn(priority), tonumber(redis.call('ZSCORE', turns, member) or 0))
    redis.call('ZADD', turns, text(turn + 1), member)
  else
    if next_place > last_place then reserve(1) end
    turn = next_place
    next_place = turn + 1
  end
  return text(turn - priority * PRIORITY_STEP)
end

-- Limits --------------------------------------------------------------------------------------------------------------
-- A limit has a name (`queue`, `task:T`, `key:K`) and a rule: "CONCURRENCY INTERVAL BURST PAUSED", where -1 and 0 are no
-- limit. `keys` is the rule of every key that has none of its own. A queued job that a limit keeps from starting is held:
-- it waits under the limit's name and not in the queue, so that it is in nobody's way.

local rules
local function rule(name)
  if not rules then
    rules = {}
    -- Few are read at once, many one by one.
    if redis.call('HLEN', K.limits) <= 100 then
      rules[0] = true
      local all = redis.call('HGETALL', K.limits)
      for i = 1, #all, 2 do rules[all[i]] = all[i + 1] end
    end
  end
  local found = rules[name]
  if found == nil and not rules[0] then
    found = redis.call('HGET', K.limits, name)
    rules[name] = found
  end
  if type(found) == 'string' then
    local most, interval, burst, paused = string.match(found, '^(%-?%d+) (%d+) (%d+) (%d)$')
    most = tonumber(most)
    found = { most = most < 0 and math.huge or most, interval = tonumber(interval), burst = tonumber(burst), paused = paused == '1' }
    rules[name] = found
  end
  if not found and name ~= 'keys' and string.sub(name, 1, 4) == 'key:' then return rule('keys') end
  return found or nil
end

-- The names of the limits that a job is under, but for the queue's own.
local function limits_of(task, key)
  local names = {}
  if rule('task:' .. task) then names[1] = 'task:' .. task end
  if key and key ~= '' and rule('key:' .. key) then names[#names + 1] = 'key:' .. key end
  return names
end

-- How many jobs run under a limit, and the instant its bucket is next full (the theoretical arrival time of GCRA, which is
-- a token bucket in one number).
local busy, full_at, changed = {}, {}, {}
local function busy_under(name)
  if not busy[name] then
    busy[name] = name == 'queue' and redis.call('ZCARD', K.running) or tonumber(redis.call('HGET', K.busy, name) or 0)
  end
  return busy[name]
end
local function full_at_under(name)
  if not full_at[name] then full_at[name] = math.max(now, tonumber(redis.call('ZSCORE', K.buckets, name) or 0)) end
  return full_at[name]
end

-- How many more jobs may start under a limit now, and when one more may: math.huge if only another's end can tell.
local function room(name)
  local limit = rule(name)
  if not limit then return math.huge, math.huge end
  if limit.paused then return 0, math.huge end
  local free = limit.most - busy_under(name)
  if free > 0 and limit.interval > 0 then
    local full, reach = full_at_under(name), limit.burst * limit.interval
    local tokens = math.max(math.floor((now + reach - full) / limit.interval), 0)
    if tokens < free then return tokens, full + (tokens + 1) * limit.interval - reach end
  end
  return math.max(free, 0), math.huge
end

-- So many jobs start under a limit.
local function start_under(name, count)
  busy[name] = busy_under(name) + count
  local limit = rule(name)
  if limit and limit.interval > 0 then full_at[name] = full_at_under(name) + count * limit.interval end
  changed[name] = true
end

-- Writes down what started and ended under limits.
local function keep_counts()
  local counts, gone, buckets = {}, {}, {}
  for name in pairs(changed) do
    if name ~= 'queue' then
      if busy[name] > 0 then
        counts[#counts + 1] = name
        counts[#counts + 1] = text(busy[name])
      else
        gone[#gone + 1] = name
      end
    end
    if full_at[name] and full_at[name] > now then
      buckets[#buckets + 1] = text(full_at[name])
      buckets[#buckets + 1] = name
    end
  end
  if #counts > 0 then in_parts('HSET', K.busy, counts) end
  if #gone > 0 then in_parts('HDEL', K.busy, gone) end
  if #buckets > 0 then in_parts('ZADD', K.buckets, buckets) end
end

-- When promote is to look at a limit's held jobs again.
local function look_again(name, at)
  if at == math.huge then
    redis.call('ZADD', K.again, '+inf', name)
  else
    schedule(K.again, { text(at), name })
  end
end

-- Whether more may start under a limit than were let back: as tokens, because its rule has gone, or because it was made
-- wider and nobody has looked since. Else the room is of those that were let back before.
local function more_may_start(name)
  local limit = rule(name)
  if not limit or limit.interval > 0 then return true end
  return tonumber(redis.call('ZSCORE', K.again, name) or math.huge) <= now
end

-- Lets held jobs of a limit back into the queue, as many as may start, at most `most`; answers how many. Those let back
-- before and not leased yet are not known here: where each end lets back one, there are none too many.
local function let_back(name, most)
  local free, at = room(name)
  local count, entries = math.min(free, most), {}
  local held = K['held:' .. name]
  local ids = count > 0 and redis.call('ZRANGE', held, 0, count - 1, 'WITHSCORES') or {}
  for i = 1, #ids, 2 do
    redis.call('ZREM', held, ids[i])
    redis.call('ZREM', K.held, ids[i])
    redis.call('HDEL', record(ids[i]), 'held')
    entries[#entries + 1] = ids[i + 1]
    entries[#entries + 1] = ids[i]
  end
  queue_up(entries)
  if redis.call('EXISTS', held) == 0 then
    redis.call('ZREM', K.again, name)
  else
    look_again(name, free > count and more_may_start(name) and now or at)
  end
  return #ids / 2
end

-- A queued job that might have started does not: if another was waiting for that, it is its turn.
local function pass_on(names, but)
  for _, name in ipairs(names) do
    if name ~= but and redis.call('EXISTS', K['held:' .. name]) == 1 then let_back(name, 1) end
  end
end

-- Holds a job, which is out of the queue, under a limit.
local function hold(id, score, name, at, names)
  redis.call('ZADD', K.held, score, id)
  redis.call('ZADD', K['held:' .. name], score, id)
  redis.call('HSET', record(id), 'held', name)
  look_again(name, at)
  pass_on(names, name)
end

-- A running job is one no more.
local function end_under(counted)
  for name in string.gmatch(counted or '', '[^\n]+') do
    busy[name] = math.max(busy_under(name) - 1, 0)
    changed[name] = true
    if redis.call('EXISTS', K['held:' .. name]) == 1 then let_back(name, 1) end
  end
end

-- Ends ----------------------------------------------------------------------------------------------------------------

-- What has to be known of a job that leaves the queue.
local LEAVING = { 'state', 'task', 'key', 'held', 'unique', 'scope', 'start_by', 'flow' }

-- A job that is part of something has ended: flow.lua says what becomes of that, and stands before each script in which
-- jobs end.
local ended

local function leaving(id)
  local job, fields = redis.pcall('HMGET', record(id), unpack(LEAVING)), {}
  for i, name in ipairs(LEAVING) do fields[name] = job[i] end
  return fields
end

-- The job does not hold its unique key any more.
local function let_go(id, unique)
  if unique and redis.call('HGET', K.unique, unique) == id then
    redis.call('HDEL', K.unique, unique)
    redis.call('ZREM', K['unique-until'], unique)
  end
end

-- Takes a job that is scheduled or queued out of where it waits.
local function leave(id, job)
  if job.start_by then redis.call('ZREM', K['start-by'], id) end
  if job.state == 'scheduled' then
    redis.call('ZREM', K.scheduled, id)
  elseif job.held then
    redis.call('ZREM', K.held, id)
    redis.call('ZREM', K['held:' .. job.held], id)
    if redis.call('EXISTS', K['held:' .. job.held]) == 0 then redis.call('ZREM', K.again, job.held) end
  else
    redis.call('ZREM', K.queued, id)
    if redis.call('EXISTS', K.limits) == 1 then pass_on(limits_of(job.task or '', job.key)) end
  end
end

-- Ends a job that is scheduled or queued, without a run; it is kept for so many µs.
local function end_unrun(id, job, state, keep)
  leave(id, job)
  if job.scope ~= 'time' then let_go(id, job.unique) end
  redis.call('HSET', record(id), 'state', state, 'finished', text(now))
  redis.call('HDEL', record(id), 'held')
  redis.call('ZADD', K[state], text(now + keep), id)
  if job.flow then ended(job.flow, state) end
end

-- Tells the worker of a running job to end it.
local function ask_to_end(id)
  local key = record(id)
  redis.call('HSET', key, 'cancel', '1')
  redis.call('PUBLISH', K.cancel, id .. ' ' .. redis.call('HGET', key, 'token'))
end

-- Counts the bytes of a dead job, and notes them there: one that died before they were counted has none to take off.
local function count_dead(id)
  local bytes = redis.call('HSTRLEN', record(id), 'payload') + redis.call('HSTRLEN', record(id), 'history')
  redis.call('HSET', record(id), 'dead_bytes', bytes)
  redis.call('INCRBY', K['dead-bytes'], bytes)
end

-- The job is dead no more.
local function uncount_dead(id)
  redis.call('DECRBY', K['dead-bytes'], redis.call('HGET', record(id), 'dead_bytes') or 0)
  redis.call('HDEL', record(id), 'dead_bytes')
end

-- Forgets a job that does not run.
local function forget(id, job)
  local waits = job.state == 'scheduled' or job.state == 'queued'
  if waits then
    leave(id, job)
  elseif job.state then
    if job.state == 'dead' then uncount_dead(id) end
    redis.call('ZREM', K[job.state], id)
  end
  let_go(id, job.unique)
  redis.call('UNLINK', record(id))
  if waits and job.flow then ended(job.flow, 'removed') end
end
