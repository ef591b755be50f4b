-- What keeps jobs from starting: a part (common.lua) that stands before each script in which jobs start or end.
--
-- A limit has a name (`queue`, `task:T`, `key:K`) and a rule: "CONCURRENCY INTERVAL BURST PAUSED", where -1 and 0 are no
-- limit. `keys` is the rule of every key that has none of its own. A queued job that a limit keeps from starting is held:
-- it waits under the limit's name and not in the queue, so that it is in nobody's way.
local limits = part(function()

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

return {
  rule = rule, of = limits_of, room = room, start_under = start_under, end_under = end_under, keep_counts = keep_counts,
  hold = hold, let_back = let_back, pass_on = pass_on, look_again = look_again, busy = busy, changed = changed,
}
end)
