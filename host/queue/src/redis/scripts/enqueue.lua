#!lua
-- Accepts jobs of one queue: all of them, or none. This call is the contract for producers in any language
-- (docs/queue-protocol.md), so it checks what it is given.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake
-- ARGV     1 now in µs ('' = ask TIME), then six for each job:
--          id · task · payload · run_at in µs ('' = now) · priority ('' = 0) · options (a JSON object, '' = none)
-- Returns  for each job 1 if it was accepted, 0 if a job with this id was there already (it stays as it was)
-- Errors   INVALID with a sentence; nothing was accepted
-- States   (none) → queued, scheduled
local FIELDS, PRIORITY_STEP, LATEST = 6, 2^40, 2^53
-- The least that each option may be.
local OPTIONS = { max_attempts = 1, min_backoff_ms = 0, max_backoff_ms = 0, timeout_ms = 1, memory = 1 }

local function whole(text)
  local n = string.find(text, '^%-?%d+$') and tonumber(text)
  return n and n < LATEST and n > -LATEST and n
end

local function name(text) return #text <= 128 and string.find(text, '^[%w_%-][%w_%-.]*$') end

-- What is wrong with the job whose first argument is at `at`, or nil.
local function fault(at)
  local id, task, run_at, priority, options = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  if #id > 128 or not string.find(id, '^[%w_%-.:]+$') then
    return 'its id must be 1 to 128 letters, digits, `_`, `-`, `.` or `:`'
  end
  if not name(task) then
    return 'its task must be 1 to 128 letters, digits, `_`, `-` or `.`, not starting with a dot'
  end
  if run_at ~= '' and not whole(run_at) then return 'its run_at must be whole microseconds since 1970, or empty' end
  if priority ~= '' then
    local n = whole(priority)
    if not n or n < -1000 or n > 1000 then return 'its priority must be from -1000 to 1000, or empty' end
  end
  if options ~= '' then
    local fine, value = pcall(cjson.decode, options)
    if not fine or type(value) ~= 'table' or not string.find(options, '^%s*{') then
      return 'its options must be a JSON object, or empty'
    end
    local parts = {}
    for option, setting in pairs(value) do
      local least = OPTIONS[option]
      if not least then
        return 'its option `' .. option .. '` is not one of max_attempts, min_backoff_ms, max_backoff_ms, timeout_ms, memory'
      end
      if type(setting) ~= 'number' or setting < least or setting >= LATEST or setting ~= math.floor(setting) then
        return 'its option `' .. option .. '` must be a whole number, at least ' .. least
      end
      if option == 'max_attempts' and setting >= 2^32 then return 'its option `max_attempts` must be less than 2^32' end
      parts[#parts + 1] = '"' .. option .. '":' .. string.format('%d', setting)
    end
    -- As workers read it: a producer may have written 3.0, or a key twice.
    ARGV[at + 5] = '{' .. table.concat(parts, ',') .. '}'
  end
end

local count = (#ARGV - 1) / FIELDS
if #KEYS ~= 5 or count < 1 or count ~= math.floor(count) then
  return redis.error_reply('INVALID give 5 keys, and as arguments the time and then ' .. FIELDS .. ' for each job')
end
for i = 1, count do
  local reason = fault(2 + (i - 1) * FIELDS)
  if reason then return redis.error_reply('INVALID job ' .. i .. ' of ' .. count .. ': ' .. reason) end
end

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local last = redis.call('INCRBY', KEYS[4], count) - count
-- Whole numbers as text: Redis would print a number of Lua's as a double, which is slow.
local function text(number) return string.format('%d', number) end
local accepted_at = text(now)

local created, queued, scheduled = {}, {}, {}
local earliest
for i = 1, count do
  local at = 2 + (i - 1) * FIELDS
  local id, run_at, priority, options = ARGV[at], tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), ARGV[at + 5]
  local key = KEYS[1] .. ':' .. id
  if redis.call('EXISTS', key) == 1 then
    created[i] = 0
  else
    local later = run_at and run_at > now
    local record = {
      key, 'v', '1', 'state', later and 'scheduled' or 'queued', 'at', accepted_at, 'task', ARGV[at + 1], 'payload', ARGV[at + 2],
    }
    if later then record[#record + 1] = 'run_at'; record[#record + 1] = text(run_at) end
    if priority and priority ~= 0 then record[#record + 1] = 'priority'; record[#record + 1] = text(priority) end
    if options ~= '' then record[#record + 1] = 'options'; record[#record + 1] = options end
    redis.call('HSET', unpack(record))
    if later then
      scheduled[#scheduled + 1] = text(run_at)
      scheduled[#scheduled + 1] = id
      earliest = math.min(earliest or run_at, run_at)
    else
      queued[#queued + 1] = text(last + i - (priority or 0) * PRIORITY_STEP)
      queued[#queued + 1] = id
    end
    created[i] = 1
  end
end

-- Lua hands at most about 8,000 values to one call.
local function zadd(key, entries)
  for i = 1, #entries, 4000 do
    redis.call('ZADD', key, unpack(entries, i, math.min(i + 3999, #entries)))
  end
end

-- A worker waits only after it found the queue empty, and until its first scheduled job is due: so a message is needed
-- when the queue stops being empty, and when a job is due before all others.
local wake = false
if #queued > 0 then
  wake = redis.call('ZCARD', KEYS[2]) == 0
  zadd(KEYS[2], queued)
end
if #scheduled > 0 then
  local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  wake = wake or not first[2] or earliest < tonumber(first[2])
  zadd(KEYS[3], scheduled)
end
if wake then redis.call('PUBLISH', KEYS[5], '') end
return created
