-- What has to be done when a job leaves the queue: a part (common.lua) that stands, after flow.lua and limits.lua, before
-- each script in which one does.
local ends = part(function()

-- What has to be known of a job that leaves the queue.
local LEAVING = { 'state', 'task', 'key', 'held', 'unique', 'scope', 'start_by', 'flow' }

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
    if redis.call('EXISTS', K.limits) == 1 then limits.pass_on(limits.of(job.task or '', job.key)) end
  end
end

-- Ends a job that is scheduled or queued, without a run; it is kept for so many µs.
local function end_unrun(id, job, state, keep)
  leave(id, job)
  if job.scope ~= 'time' then let_go(id, job.unique) end
  redis.call('HSET', record(id), 'state', state, 'finished', text(now))
  redis.call('HDEL', record(id), 'held')
  redis.call('ZADD', K[state], text(now + keep), id)
  if job.flow then flow.ended(job.flow, state) end
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
  if waits and job.flow then flow.ended(job.flow, 'removed') end
end

return {
  leaving = leaving, let_go = let_go, end_unrun = end_unrun, ask_to_end = ask_to_end, count_dead = count_dead,
  uncount_dead = uncount_dead, forget = forget,
}
end)
