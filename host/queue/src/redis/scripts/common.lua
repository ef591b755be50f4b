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

-- A part of these scripts that few calls need: `load`, which answers what is in it, is called when something in it is first
-- asked for. To make the functions of all parts took a quarter of what a lease or settlement of one job costs.
local PART = { __index = function(part, name)
  setmetatable(part, nil)
  for known, value in pairs(part.load()) do part[known] = value end
  return part[name]
end }
local function part(load) return setmetatable({ load = load }, PART) end

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

-- The most bytes of a payload, and of a text in `ended`: a batch is read before it is known what fits.
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
  local written = redis.pcall('HSET', RECORD .. id, unpack(fields))
  if type(written) == 'table' and written.err then
    -- Another program has put something else there: an error half way would cost the jobs beside this one.
    redis.call('UNLINK', RECORD .. id)
    redis.call('HSET', RECORD .. id, unpack(fields))
  end
  redis.call('HDEL', K.short, id)
  redis.call('HDEL', K.leased, id)
  redis.call('HDEL', K.ended, id)
end

-- Whether there is a job of this id.
local function is_taken(id)
  return redis.call('EXISTS', RECORD .. id) == 1 or redis.call('HEXISTS', K.short, id) == 1
end

-- Whether a text in `leased` is a lease of this token.
local SPACE = string.byte(' ')
local function is_of_token(lease, token)
  return string.find(lease, token, 1, true) == 1 and string.byte(lease, #token + 1) == SPACE
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
