#!lua flags=allow-oom
-- Extends leases, each only if its token is still the job's.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now in µs ('' = ask TIME) · 2 the lease's length in µs from now, then two for each lease: id · token
-- Returns  for each lease 1 if it was extended, 0 if it is no longer the caller's
-- States   running → running
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local ends, reply = now + tonumber(ARGV[2]), {}
for i = 3, #ARGV, 2 do
  local id, ours = ARGV[i], redis.pcall('HGET', KEYS[1] .. ':' .. ARGV[i], 'token') == ARGV[i + 1]
  if ours then redis.call('ZADD', KEYS[6], ends, id) end
  reply[#reply + 1] = ours and 1 or 0
end
return reply
