#!lua flags=allow-oom
-- Takes over leases that have expired: a new token and a new worker, but no new start. The caller settles the jobs as
-- lost; should it vanish too, its own lease expires in turn.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now in µs ('' = ask TIME) · 2 at most so many jobs · 3 at most so many bytes of payloads and histories
--          4 the lease's length in µs · 5 worker · 6 how many jobs the caller has already
-- Returns  as lease does, with the vanished worker at the end of each row
-- States   running → running
local now, max, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local expired = redis.call('ZRANGE', KEYS[6], '-inf', now, 'BYSCORE', 'LIMIT', 0, max)
local reply = { now, #expired == max and 1 or 0, 0 }
if #expired == 0 then return reply end

local token = redis.call('INCRBY', KEYS[4], #expired) - #expired
local ends, worker, bytes, has_some = now + tonumber(ARGV[4]), ARGV[5], 0, tonumber(ARGV[6]) > 0
for i, id in ipairs(expired) do
  local key = KEYS[1] .. ':' .. id
  local job = redis.pcall('HMGET', key, 'state', 'task', 'payload', 'options', 'at', 'run_at', 'priority', 'starts',
    'failures', 'waits', 'history', 'worker')
  if job[1] == 'running' then
    local payload, history = job[3] or '', job[11] or ''
    local size = #payload + #history
    if bytes + size > max_bytes and (#reply > 3 or has_some) then
      reply[2] = 1
      break
    end
    bytes = bytes + size
    redis.call('HSET', key, 'token', token + i, 'worker', worker)
    redis.call('ZADD', KEYS[6], ends, id)
    reply[#reply + 1] = {
      id, token + i, job[8] or '0', job[2] or '', payload, job[4] or '', job[5] or '', job[6] or job[5] or '',
      job[7] or '0', job[9] or '0', job[10] or '0', history, job[12] or '',
    }
  else
    redis.call('ZREM', KEYS[6], id)
  end
end
reply[3] = bytes
return reply
