-- How a job is made: a part (common.lua) that stands before each script that makes one.
local accept = part(function()

-- The least that each number may be; what workers read of the options, and what scripts do.
local OF_WORKERS = { max_attempts = 1, min_backoff_ms = 0, max_backoff_ms = 0, timeout_ms = 1, memory = 1 }
local OF_SCRIPTS = { unique_for_ms = 1, expires_at = 0 }
local TEXTS = { key = true, unique_key = true, unique = true }

local function whole(text)
  local n = string.find(text, '^%-?%d+$') and tonumber(text)
  return n and n < LATEST and n > -LATEST and n
end

local function name(text) return #text <= 128 and string.find(text, '^[%w_%-][%w_%-.]*$') end

-- The most jobs that may follow one.
local MAX_LINKS = 100

local read_followers

-- Reads a table of options: those of workers as the parts of a JSON object, and the others as a table; else nil and what
-- is wrong.
local function sort_out(value)
  local parts, others = {}, {}
  for option, setting in pairs(value) do
    local least = OF_WORKERS[option] or OF_SCRIPTS[option]
    if least then
      if type(setting) ~= 'number' or setting < least or setting >= LATEST or setting ~= math.floor(setting) then
        return nil, 'its option `' .. option .. '` must be a whole number, at least ' .. least
      end
      if option == 'max_attempts' and setting >= 2^32 then
        return nil, 'its option `max_attempts` must be less than 2^32'
      end
    elseif TEXTS[option] then
      if type(setting) ~= 'string' or #setting < 1 or #setting > 128 or string.find(setting, '[%c%s]') then
        return nil, 'its option `' .. option .. '` must be 1 to 128 bytes without white space'
      end
    elseif option == 'then' then
      local reason
      setting, reason = read_followers(setting)
      if not setting then return nil, reason end
    else
      return nil, 'its option `' .. option .. '` is not one of max_attempts, min_backoff_ms, max_backoff_ms, ' ..
        'timeout_ms, memory, key, unique_key, unique, unique_for_ms, expires_at, then'
    end
    if OF_WORKERS[option] then
      -- As workers read it: a producer may have written 3.0, or a key twice.
      parts[#parts + 1] = '"' .. option .. '":' .. text(setting)
    else
      others[option] = setting
    end
  end
  return parts, others
end

local function object(parts) return #parts > 0 and '{' .. table.concat(parts, ',') .. '}' or '' end

-- Reads options: those of workers as they are kept, and the others as a table; else nil and what is wrong.
local function read_options(json)
  local fine, value = pcall(cjson.decode, json)
  if not fine or type(value) ~= 'table' or not string.find(json, '^%s*{') then
    return nil, 'its options must be a JSON object, or empty'
  end
  local parts, others = sort_out(value)
  if not parts then return nil, others end
  if others.unique_key then
    if (others.unique == nil) == (others.unique_for_ms == nil) then
      return nil, 'its option `unique_key` needs one of `unique` and `unique_for_ms`'
    end
    if others.unique and others.unique ~= 'queued' and others.unique ~= 'unfinished' then
      return nil, 'its option `unique` must be queued or unfinished'
    end
  elseif others.unique or others.unique_for_ms then
    return nil, 'its options `unique` and `unique_for_ms` need a `unique_key`'
  end
  return { kept = object(parts), others = others }
end

local NONE = { kept = '', others = {} }

-- What is wrong with the id, task or priority of a job, or nil.
local function wrong(id, task, priority)
  if #id > 128 or not string.find(id, '^[%w_%-.:]+$') then
    return 'its id must be 1 to 128 letters, digits, `_`, `-`, `.` or `:`'
  end
  if not name(task) then
    return 'its task must be 1 to 128 letters, digits, `_`, `-` or `.`, not starting with a dot'
  end
  if priority ~= '' then
    local n = whole(priority)
    if not n or n < -1000 or n > 1000 then return 'its priority must be from -1000 to 1000, or empty' end
  end
end

-- Reads a job that is to follow: an object with id and task, and as wanted priority, key and options of workers. It is
-- kept as a line of JSON.
local function read_link(value)
  if type(value) ~= 'table' then return nil, 'it must be a JSON object' end
  local id, task, priority = value.id, value.task, value.priority or 0
  if type(id) ~= 'string' or type(task) ~= 'string' then return nil, 'it needs an `id` and a `task`, which are strings' end
  local reason = wrong(id, task, type(priority) == 'number' and tostring(priority) or '?')
  if reason then return nil, reason end
  value.id, value.task, value.priority = nil, nil, nil
  local parts, others = sort_out(value)
  if not parts then return nil, others end
  for option in pairs(others) do
    if option ~= 'key' then return nil, 'its option `' .. option .. '` is not one of a job that follows' end
  end
  local kept = object(parts)
  -- The priority has a field of its own in a record.
  parts[#parts + 1] = '"id":"' .. id .. '","task":"' .. task .. '","priority":' .. text(priority)
  if others.key then parts[#parts + 1] = '"key":' .. cjson.encode(others.key) end
  return { id = id, task = task, priority = priority, kept = kept, others = others, line = object(parts) }
end

-- Reads the jobs that are to follow one: their lines and their ids.
function read_followers(value)
  if type(value) ~= 'table' or #value < 1 or #value > MAX_LINKS then
    return nil, 'its option `then` must be an array of 1 to ' .. MAX_LINKS .. ' jobs'
  end
  local lines, ids = {}, {}
  for i, follower in ipairs(value) do
    local link, reason = read_link(follower)
    if not link then return nil, 'job ' .. i .. ' of its option `then`: ' .. reason end
    lines[i], ids[i] = link.line, link.id
  end
  return { lines = table.concat(lines, '\n'), ids = ids }
end

-- Reads a job of six texts: id, task, payload, run_at, priority, options; else nil and what is wrong with it.
local function read_job(id, task, payload, run_at, priority, options)
  local reason = wrong(id, task, priority)
  if reason then return nil, reason end
  if run_at ~= '' and not whole(run_at) then return nil, 'its run_at must be whole microseconds since 1970, or empty' end
  local read = NONE
  if options ~= '' then read, reason = read_options(options) end
  if not read then return nil, reason end
  local follow, seen = read.others['then'], { [id] = true }
  for _, follower in ipairs(follow and follow.ids or {}) do
    if seen[follower] then return nil, 'the job ' .. follower .. ' comes after itself' end
    seen[follower] = true
  end
  return {
    id = id, task = task, payload = payload, run_at = tonumber(run_at), priority = tonumber(priority) or 0,
    kept = read.kept, others = read.others, links = follow and follow.lines or '',
  }
end

-- The job that has this unique key, or nil.
local function holder(unique)
  local id = redis.call('HGET', K.unique, unique)
  if not id then return nil end
  local ends = tonumber(redis.call('ZSCORE', K['unique-until'], unique) or 0)
  if ends > 0 then return ends > now and id or nil end
  -- Its holder lets it go when it ends; this is for one that another program has removed.
  return is_taken(id) and id or nil
end

local function hold_unique(id, unique, for_ms)
  redis.call('HSET', K.unique, unique, id)
  if for_ms then
    redis.call('ZADD', K['unique-until'], text(now + for_ms * 1000), unique)
  else
    redis.call('ZREM', K['unique-until'], unique)
  end
end

local queued, scheduled, start_by = {}, {}, {}
local at = text(now)
-- How a short record of now begins.
local SHORT_BEGINS = text(VERSION) .. ' ' .. at .. ' '

-- Accepts a job that was read: 1, or 0 if a job with its id was there already, or the id of the job that has its unique
-- key. Those accepted are put into their indexes by `put_accepted`.
local function accept(job)
  local id, others = job.id, job.others
  local later = job.run_at and job.run_at > now
  local plain = job.kept == '' and job.links == '' and not job.batch and next(others) == nil
  if plain and not later and job.priority == 0 and #job.payload <= SHORT then
    if redis.call('EXISTS', RECORD .. id) == 1 then return 0 end
    if redis.call('HSETNX', K.short, id, SHORT_BEGINS .. job.task .. ' ' .. job.payload) == 0 then return 0 end
    queued[#queued + 1] = place(0, nil)
    queued[#queued + 1] = id
    return 1
  end
  if is_taken(id) then return 0 end
  local other = others.unique_key and holder(others.unique_key)
  if other then return other end
  local fields, count = {
    RECORD .. id, 'v', text(VERSION), 'state', later and 'scheduled' or 'queued', 'at', at, 'task', job.task, 'payload',
    job.payload,
  }, 11
  local function set(field, value)
    fields[count + 1], fields[count + 2] = field, value
    count = count + 2
  end
  if later then set('run_at', text(job.run_at)) end
  if job.priority ~= 0 then set('priority', text(job.priority)) end
  if job.kept ~= '' then set('options', job.kept) end
  if others.key then set('key', others.key) end
  -- What the job is part of: its batch, then a line for each job that is to follow it.
  if job.batch or job.links ~= '' then set('flow', (job.batch or '') .. '\n' .. job.links) end
  if others.unique_key then
    set('unique', others.unique_key)
    set('scope', others.unique or 'time')
    hold_unique(id, others.unique_key, others.unique_for_ms)
  end
  if others.expires_at then
    set('start_by', text(others.expires_at))
    start_by[#start_by + 1] = text(others.expires_at)
    start_by[#start_by + 1] = id
  end
  redis.call('HSET', unpack(fields))
  local list = later and scheduled or queued
  list[#list + 1] = later and text(job.run_at) or place(job.priority, others.key)
  list[#list + 1] = id
  return 1
end

local function put_accepted()
  queue_up(queued)
  schedule(K.scheduled, scheduled)
  schedule(K['start-by'], start_by)
  queued, scheduled, start_by = {}, {}, {}
end

return { read_job = read_job, read_link = read_link, holder = holder, job = accept, put = put_accepted }
end)
