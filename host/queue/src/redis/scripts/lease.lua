-- Hands out jobs that are queued: highest priority first, then first in first out. Counts a start for each. A job that a
-- limit keeps from starting is held, one whose time to start is over expires, and one whose record is of a newer version is
-- held for workers that know it.
-- It may run while Redis is over its memory limit, like all scripts but enqueue: else a full Redis could never drain.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 at most so many jobs · 3 at most so many bytes of payloads and histories
--          4 the lease's length in µs · 5 worker · 6 how many jobs the caller has already (with none, the first job is
--          given whatever its size) · 7 the first of so many tokens as 2 says, which no other lease of these jobs ever had
--          8 how many begin at once, counted with those of 6 · 9 how long to keep what expires, in µs
-- Returns  now · 1 if there may be more · bytes of payloads and histories handed out · an array, packed as MessagePack,
--          with two for each lease, of which the first has the first token, and so on: id · its short record (common.lua), or
--          an array: starts · task · payload · at · options · run_at · priority · failures · waits · lost · history
-- States   queued → running, expired
local max, max_bytes, has, begin = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[8])
-- The most jobs that are looked at, so that a queue of held jobs keeps nobody waiting.
local LOOKED_AT = math.max(1000, max)

local limited = redis.call('EXISTS', K.limits) == 1
if limited then max = math.min(max, (limits.room('queue'))) end

local lease_ends, worker = text(now + tonumber(ARGV[4])), ARGV[5]
local leases, running, leased, count, bytes, looked_at, more = {}, {}, {}, 0, 0, 0, false
local token, turns = tonumber(ARGV[7]), {}

-- The limit that keeps a job from starting, and until when; or nil.
local function held_by(names)
  for _, name in ipairs(names) do
    local free, at = limits.room(name)
    if free < 1 then return name, at end
  end
end

-- A job of this place leaves the queue: its turn, and all before it, are over.
local function note_turn(score, priority)
  local turn = tonumber(score) + priority * PRIORITY_STEP
  -- Known at once: a callback may take its place meanwhile.
  if turn > leased_turn(priority) then
    turns[priority] = turn
    turn_of[priority] = turn
  end
end

-- Whether no more of so many bytes can be handed out.
local function too_large(size) return size > math.max(max_bytes - bytes, 0) and count + has > 0 end

-- The job has a lease, of the next token; answers whether it begins at once.
local function hand_out(id, size, what)
  bytes = bytes + size
  running[2 * count + 1], running[2 * count + 2] = lease_ends, id
  leases[2 * count + 1], leases[2 * count + 2] = id, what
  count = count + 1
  token = token + 1
  return count + has <= begin
end

-- Leases a job of this record's key, or does else with it what is due; false if there is no room for its bytes.
local function lease_of_record(id, key, score)
  local job = redis.pcall('HMGET', key, 'state', 'task', 'payload', 'at', 'v', 'options', 'run_at', 'priority', 'failures',
    'waits', 'lost', 'history', 'key', 'start_by', 'unique', 'scope', 'progress', 'starts')
  -- An id whose record has gone, or is not a queued job's, is only cleaned away.
  if job[1] ~= 'queued' then return true end
  local task, payload, at, history, start_by = job[2] or '', job[3] or '', job[4] or '', job[12] or '', job[14]
  local starts, size = number(job[18] or '0'), #payload + #history
  local names = limited and limits.of(task, job[13]) or {}
  local limit, until_when = newer(job[5]), math.huge
  if not limit then limit, until_when = held_by(names) end
  if starts == 0 and start_by and (number(start_by) or math.huge) <= now then
    ends.end_unrun(id, ends.leaving(id), 'expired', tonumber(ARGV[9]))
  elseif limit then
    limits.hold(id, score, limit, until_when, names)
  elseif too_large(size) then
    return false
  else
    -- One that cannot be read is not counted on from 0: the caller buries the job.
    starts = starts and text(starts + 1) or job[18]
    local token_text = text(token)
    local begins = hand_out(id, size, {
      starts, task, payload, at, job[6] or '', job[7] or at, job[8] or '0', job[9] or '0', job[10] or '0', job[11] or '0',
      history,
    })
    redis.call('HSET', key, 'state', 'running', 'token', token_text, 'worker', worker, 'starts', starts, 'score', score,
      'begun', begins and '1' or '0')
    if names[1] then
      for _, name in ipairs(names) do limits.start_under(name, 1) end
      redis.call('HSET', key, 'counted', table.concat(names, '\n'))
    end
    if start_by then redis.call('ZREM', K['start-by'], id) end
    if job[17] then redis.call('HDEL', key, 'progress') end
    if job[16] == 'queued' then ends.let_go(id, job[15]) end
    if is_fair() then note_turn(score, number(job[8]) or 0) end
  end
  return true
end

-- The same of a short record. There is nothing to look at in it, unless it is of another version or under a limit.
local HEAD, shorts_leased = '^' .. text(VERSION) .. ' %d+ %S+ ', 0
local function lease_of_short(id, short, score)
  local _, head = string.find(short, HEAD)
  if not head then return lease_of_record(id, record(id), score) end
  if limited and limits.of(string.match(short, '^%d+ %d+ (%S+)'))[1] then
    return lease_of_record(id, record(id), score)
  end
  local size = #short - head
  if too_large(size) then return false end
  local lease = text(token)
  lease = lease .. (hand_out(id, size, short) and ' 1 ' or ' 0 ') .. score .. ' ' .. worker
  shorts_leased = shorts_leased + 1
  leased[2 * shorts_leased - 1], leased[2 * shorts_leased] = id, lease
  if is_fair() then note_turn(score, 0) end
  return true
end

while count < max and looked_at < LOOKED_AT and not more do
  local popped, ids = redis.call('ZPOPMIN', K.queued, math.min(max - count, LOOKED_AT - looked_at)), {}
  if #popped == 0 then break end
  for i = 1, #popped / 2 do ids[i] = popped[2 * i - 1] end
  local shorts = redis.call('HMGET', K.short, unpack(ids))
  for i, id in ipairs(ids) do
    local short, score, fits = shorts[i], popped[2 * i]
    looked_at = looked_at + 1
    if short then
      fits = lease_of_short(id, short, score)
    else
      fits = lease_of_record(id, RECORD .. id, score)
    end
    if not fits then
      for j = i, #ids do redis.call('ZADD', K.queued, popped[2 * j], ids[j]) end
      more = true
      break
    end
  end
end

if #leased > 0 then in_parts('HSET', K.leased, leased) end
if count > 0 then in_parts('ZADD', K.running, running) end
if limited then
  if limits.rule('queue') then
    if count > 0 then limits.start_under('queue', count) end
    local free, at = limits.room('queue')
    if free == 0 and redis.call('EXISTS', K.queued) == 1 then limits.look_again('queue', at) end
  end
  limits.keep_counts()
end
for priority, turn in pairs(turns) do
  redis.call('HSET', K.fair, text(priority), text(turn))
end
more = more or looked_at >= LOOKED_AT or count == tonumber(ARGV[2])
return done({ now, more and 1 or 0, bytes, cmsgpack.pack(leases) })
