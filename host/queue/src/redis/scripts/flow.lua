-- What becomes of chains and batches when a job ends: a part (common.lua) that stands, after accept.lua, before each script
-- in which one does.
--
-- A job that is part of something says so in its field `flow`: the id of its batch, or nothing, then a line for each job
-- that is to follow it (accept.lua). A batch is a hash:
--   state (open, finished, cancelled) · at · finished · parent · batches (the ids of those that stand in it, a line each)
--   total · pending · succeeded · dead · cancelled · expired · removed: its members
--   callback (lines, as for a chain) · tail (the end of the callback's payload) · called (1 once it was enqueued)
local flow = part(function()

-- How long a batch is kept after it has ended: a day, as in policy.rs.
local KEEP_BATCH = 24 * 3600 * 1000000

local function batch_key(batch) return K['batch:' .. batch] end

-- The batch, or '', and the lines of what is to follow.
local function parts_of(flow) return string.match(flow or '', '^([^\n]*)\n?(.*)$') end

-- Puts a job on the list of its batch's.
local function join(batch, id)
  redis.call('ZADD', K['batch-jobs:' .. batch], redis.call('HINCRBY', batch_key(batch), 'joined', 1), id)
end

-- Accepts the first of these lines with this payload, and the others to follow it; false if that cannot be.
local function follow(lines, payload, batch)
  local first, rest = parts_of(lines)
  local fine, value = pcall(cjson.decode, first)
  local job = fine and accept.read_link(value)
  if not job then return false end
  job.payload, job.links, job.batch = payload, rest, batch ~= '' and batch or nil
  if accept.job(job) ~= 1 then return false end
  accept.put()
  if batch ~= '' then join(batch, job.id) end
  return true
end

local BATCH = {
  'state', 'called', 'pending', 'total', 'succeeded', 'dead', 'cancelled', 'expired', 'removed', 'callback', 'tail',
  'parent', 'finished',
}

local function read_batch(batch)
  local values, fields = redis.call('HMGET', batch_key(batch), unpack(BATCH)), {}
  for i, name in ipairs(BATCH) do fields[name] = values[i] end
  return fields
end

-- The callback's payload; batch.rs writes the same.
local function callback_payload(batch, b)
  return string.format('{"batch":"%s","total":%s,"succeeded":%s,"dead":%s,"cancelled":%s,"expired":%s,"removed":%s,%s',
    batch, b.total, b.succeeded, b.dead, b.cancelled, b.expired, b.removed, b.tail)
end

-- A member of a batch has ended, or its callback, once that was enqueued. Whoever is the last enqueues the callback, or
-- ends the batch, which may be the last member of another.
local function member_ended(batch, how)
  while batch and batch ~= '' do
    local key = batch_key(batch)
    local b = read_batch(batch)
    if not b.state or b.finished then return end
    local well = not b.called or how == 'succeeded'
    if not b.called then
      redis.call('HINCRBY', key, how, 1)
      redis.call('HINCRBY', key, 'pending', -1)
      if b.pending ~= '1' then return end
      b = read_batch(batch)
      if b.state == 'open' and b.callback ~= '' then
        redis.call('HSET', key, 'called', 1)
        if follow(b.callback, callback_payload(batch, b), batch) then return end
        well = false
      end
    end
    how = b.state == 'cancelled' and 'cancelled' or well and b.succeeded == b.total and 'succeeded' or 'dead'
    redis.call('HSET', key, 'state', b.state == 'cancelled' and 'cancelled' or 'finished', 'finished', text(now))
    redis.call('ZADD', K['batches-ended'], text(now + KEEP_BATCH), batch)
    batch = b.parent
  end
end

-- What is to follow is not enqueued where its batch was cancelled.
local function goes_on(batch)
  return batch == '' or redis.call('HGET', batch_key(batch), 'state') ~= 'cancelled'
end

local function ended(flow, state, reply)
  local batch, lines = parts_of(flow)
  if state == 'succeeded' and lines ~= '' then
    if not goes_on(batch) then return member_ended(batch, 'cancelled') end
    if follow(lines, reply, batch) then return end
    -- Its id is taken: the chain ends here, and not as it should.
    state = 'dead'
  end
  member_ended(batch, state)
end

-- A job that had ended in this state runs again: its batch waits for it again if it still can, else the job goes on by
-- itself.
local function rejoin(id, flow, state)
  local batch, lines = parts_of(flow)
  if batch == '' then return end
  local b = read_batch(batch)
  -- Not where it is of an earlier batch of this id.
  if b.state == 'open' and not b.called and redis.call('ZSCORE', K['batch-jobs:' .. batch], id) then
    redis.call('HINCRBY', batch_key(batch), state, -1)
    redis.call('HINCRBY', batch_key(batch), 'pending', 1)
    return
  end
  redis.call('ZREM', K['batch-jobs:' .. batch], id)
  if lines == '' then
    redis.call('HDEL', record(id), 'flow')
  else
    redis.call('HSET', record(id), 'flow', '\n' .. lines)
  end
end

return { batch_key = batch_key, parts_of = parts_of, join = join, ended = ended, rejoin = rejoin }
end)
