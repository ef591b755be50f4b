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
--          with six for each lease, of which the first has the first token, and so on:
--          id · starts · task · payload · at · an array of the rest, empty for a plain job (common.lua):
--          options · run_at · priority · failures · waits · lost · history
-- States   queued → running, expired
local max, max_bytes, has, begin = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[8])
-- The most jobs that are looked at, so that a queue of held jobs keeps nobody waiting.
local LOOKED_AT = math.max(1000, max)

local limited = redis.call('EXISTS', K.limits) == 1
if limited then max = math.min(max, (room('queue'))) end

local ends, worker = text(now + tonumber(ARGV[4])), ARGV[5]
local leases, running, bytes, looked_at, more = {}, {}, 0, 0, false
local token, turns = tonumber(ARGV[7]), {}

-- The limit that keeps a job from starting, and until when; or nil.
local function held_by(names)
  for _, name in ipairs(names) do
    local free, at = room(name)
    if free < 1 then return name, at end
  end
end

-- What a record says that a plain job's does not.
local NOTHING = {}
local function rest_of(key)
  return redis.call('HMGET', key, 'options', 'run_at', 'priority', 'failures', 'waits', 'lost', 'history', 'key', 'start_by',
    'unique', 'scope', 'progress', 'starts')
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

local count, filled = 0, 0
while count < max and looked_at < LOOKED_AT and not more do
  local popped = redis.call('ZPOPMIN', K.queued, math.min(max - count, LOOKED_AT - looked_at))
  if #popped == 0 then break end
  for i = 1, #popped, 2 do
    local id, score = popped[i], popped[i + 1]
    local key = record(id)
    local job = redis.pcall('HMGET', key, 'state', 'task', 'payload', 'at', 'v')
    looked_at = looked_at + 1
    -- An id whose record has gone, or is not a queued job's, is only cleaned away.
    if job[1] == 'queued' then
      local plain = job[5] == PLAIN
      local rest = plain and NOTHING or rest_of(key)
      local starts, payload, history = plain and 0 or number(rest[13] or '0'), job[3] or '', rest[7] or ''
      local names = limited and limits_of(job[2] or '', rest[8]) or NOTHING
      local limit, at = not plain and newer(job[5]), math.huge
      if not limit then limit, at = held_by(names) end
      local size = #payload + #history
      if starts == 0 and rest[9] and (number(rest[9]) or math.huge) <= now then
        end_unrun(id, leaving(id), 'expired', tonumber(ARGV[9]))
      elseif limit then
        hold(id, score, limit, at, names)
      elseif size > math.max(max_bytes - bytes, 0) and count + has > 0 then
        for j = i, #popped, 2 do redis.call('ZADD', K.queued, popped[j + 1], popped[j]) end
        more = true
        break
      else
        bytes = bytes + size
        count = count + 1
        -- One that cannot be read is not counted on from 0: the caller buries the job.
        starts = plain and '1' or starts and text(starts + 1) or rest[13]
        running[2 * count - 1], running[2 * count] = ends, id
        redis.call('HSET', key, 'state', 'running', 'token', text(token), 'worker', worker, 'starts', starts, 'score', score)
        -- Absent is 0; a record that is not plain may say something of an earlier attempt.
        local begins = count + has <= begin
        if begins or not plain then redis.call('HSET', key, 'begun', begins and '1' or '0') end
        if not plain or names[1] then no_longer_plain(key, job[5]) end
        if names[1] then
          for _, name in ipairs(names) do start_under(name, 1) end
          redis.call('HSET', key, 'counted', table.concat(names, '\n'))
        end
        if rest[9] then redis.call('ZREM', K['start-by'], id) end
        if rest[12] then redis.call('HDEL', key, 'progress') end
        if rest[11] == 'queued' then let_go(id, rest[10]) end
        if is_fair() then note_turn(score, number(rest[3]) or 0) end
        leases[filled + 1], leases[filled + 2], leases[filled + 3] = id, starts, job[2] or ''
        leases[filled + 4], leases[filled + 5] = payload, job[4] or ''
        leases[filled + 6] = plain and NOTHING or {
          rest[1] or '', rest[2] or job[4] or '', rest[3] or '0', rest[4] or '0', rest[5] or '0', rest[6] or '0', history,
        }
        filled = filled + 6
        token = token + 1
      end
    end
  end
end

if count > 0 then
  in_parts('ZADD', K.running, running)
  if limited and rule('queue') then start_under('queue', count) end
end
if limited and rule('queue') then
  local free, at = room('queue')
  if free == 0 and redis.call('EXISTS', K.queued) == 1 then look_again('queue', at) end
end
keep_counts()
for priority, turn in pairs(turns) do
  redis.call('HSET', K.fair, text(priority), text(turn))
end
more = more or looked_at >= LOOKED_AT or count == tonumber(ARGV[2])
return done({ now, more and 1 or 0, bytes, cmsgpack.pack(leases) })
