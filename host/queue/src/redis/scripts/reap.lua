-- Takes over leases that have expired: a new token, but no new start, and the worker stays the one that vanished. The caller
-- settles the jobs as lost; should it vanish too, its own lease expires in turn. One whose record is of a newer version is
-- left to workers that know it, and is in nobody's way for another lease's length.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 at most so many jobs · 3 at most so many bytes of payloads and histories
--          4 the lease's length in µs · 5 worker · 6 how many jobs the caller has already · 7 the first of so many tokens
--          as 2 says, which no other lease of these jobs ever had
-- Returns  as lease does, always with an array, at whose end are the vanished worker and what is known of its attempt's
--          beginning (0, 1, 2)
-- States   running → running
local max, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local expired = redis.call('ZRANGE', K.running, '-inf', now, 'BYSCORE', 'LIMIT', 0, max)
local leases, more = {}, #expired == max

local token, ends, bytes, has_some = tonumber(ARGV[7]), text(now + tonumber(ARGV[4])), 0, tonumber(ARGV[6]) > 0
for _, id in ipairs(expired) do
  local key = record(id)
  local job = redis.pcall('HMGET', key, 'state', 'task', 'payload', 'options', 'at', 'run_at', 'priority', 'starts',
    'failures', 'waits', 'lost', 'history', 'worker', 'begun', 'v')
  if job[1] == 'running' and newer(job[15]) then
    redis.call('ZADD', K.running, ends, id)
  elseif job[1] == 'running' then
    local payload, history = job[3] or '', job[12] or ''
    local size = #payload + #history
    if size > math.max(max_bytes - bytes, 0) and (#leases > 0 or has_some) then
      more = true
      break
    end
    bytes = bytes + size
    redis.call('HSET', key, 'token', text(token))
    redis.call('ZADD', K.running, ends, id)
    leases[#leases + 1] = id
    leases[#leases + 1] = {
      job[8] or '0', job[2] or '', payload, job[5] or '', job[4] or '', job[6] or job[5] or '', job[7] or '0', job[9] or '0',
      job[10] or '0', job[11] or '0', history, job[13] or '', job[14] or '0',
    }
    token = token + 1
  else
    redis.call('ZREM', K.running, id)
    redis.call('HDEL', K.leased, id)
    -- Another program has removed its short record's lease: else nobody would ever come upon it again.
    if job[1] == 'queued' and not job[13] and not redis.call('ZSCORE', K.queued, id) then
      queue_up({ place(0), id })
    end
  end
end
return done({ now, more and 1 or 0, bytes, cmsgpack.pack(leases) })
