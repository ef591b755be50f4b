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
-- Returns  now · 1 if there may be more · bytes of payloads and histories handed out, then one row for each lease:
--          id · token · starts · task · payload · options · at · run_at · priority · failures · waits · lost · history
-- States   queued → running, expired
local max, max_bytes, has, begin = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[8])
-- The most jobs that are looked at, so that a queue of held jobs keeps nobody waiting.
local LOOKED_AT = math.max(1000, max)

local limited = redis.call('EXISTS', K.limits) == 1
if limited then max = math.min(max, (room('queue'))) end

local ends, worker = text(now + tonumber(ARGV[4])), ARGV[5]
local reply, running, bytes, looked_at, more = { now, 0, 0 }, {}, 0, 0, false
local token, turns = tonumber(ARGV[7]), {}

-- The limit that keeps a job from starting, and until when; or nil.
local function held_by(names)
  for _, name in ipairs(names) do
    local free, at = room(name)
    if free < 1 then return name, at end
  end
end

while #running / 2 < max and looked_at < LOOKED_AT and not more do
  local popped = redis.call('ZPOPMIN', K.queued, math.min(max - #running / 2, LOOKED_AT - looked_at))
  if #popped == 0 then break end
  for i = 1, #popped, 2 do
    local id, score = popped[i], popped[i + 1]
    local key = record(id)
    local job = redis.pcall('HMGET', key, 'state', 'task', 'payload', 'options', 'at', 'run_at', 'priority', 'starts',
      'failures', 'waits', 'lost', 'history', 'key', 'start_by', 'unique', 'scope', 'progress', 'v')
    looked_at = looked_at + 1
    -- An id whose record has gone, or is not a queued job's, is only cleaned away.
    if job[1] == 'queued' then
      local starts, payload, history = number(job[8] or '0'), job[3] or '', job[12] or ''
      local names = limited and limits_of(job[2] or '', job[13]) or {}
      local limit, at = newer(job[18]), math.huge
      if not limit then limit, at = held_by(names) end
      if starts == 0 and (number(job[14]) or math.huge) <= now then
        end_unrun(id, leaving(id), 'expired', tonumber(ARGV[9]))
      elseif limit then
        hold(id, score, limit, at, names)
      elseif #payload + #history > math.max(max_bytes - bytes, 0) and #running / 2 + has > 0 then
        for j = i, #popped, 2 do redis.call('ZADD', K.queued, popped[j + 1], popped[j]) end
        more = true
        break
      else
        bytes = bytes + #payload + #history
        -- One that cannot be read is not counted on from 0: the caller buries the job.
        starts = starts and text(starts + 1) or job[8]
        running[#running + 1] = ends
        running[#running + 1] = id
        local fields = {
          'state', 'running', 'token', text(token), 'worker', worker, 'starts', starts, 'score', score,
          'begun', #running / 2 + has <= begin and '1' or '0',
        }
        if names[1] then
          for _, name in ipairs(names) do start_under(name, 1) end
          fields[#fields + 1] = 'counted'
          fields[#fields + 1] = table.concat(names, '\n')
        end
        redis.call('HSET', key, unpack(fields))
        if job[14] then redis.call('ZREM', K['start-by'], id) end
        if job[17] then redis.call('HDEL', key, 'progress') end
        if job[16] == 'queued' then let_go(id, job[15]) end
        if is_fair() then
          local priority = number(job[7]) or 0
          local turn = tonumber(score) + priority * PRIORITY_STEP
          -- Known at once: a callback may take its place meanwhile.
          if turn > leased_turn(priority) then
            turns[priority] = turn
            turn_of[priority] = turn
          end
        end
        reply[#reply + 1] = {
          id, token, starts, job[2] or '', payload, job[4] or '', job[5] or '', job[6] or job[5] or '',
          job[7] or '0', job[9] or '0', job[10] or '0', job[11] or '0', history,
        }
        token = token + 1
      end
    end
  end
end

local count = #running / 2
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
reply[2] = (more or looked_at >= LOOKED_AT or count == tonumber(ARGV[2])) and 1 or 0
reply[3] = bytes
return done(reply)
