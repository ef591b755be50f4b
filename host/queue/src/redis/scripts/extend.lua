-- Extends leases, each only if its token is still the job's.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 the lease's length in µs from now, then three for each lease:
--          id · token · 1 if its attempt has begun, else 0
-- Returns  for each lease 1 if it was extended, 2 if it was and somebody asked to cancel its job, 0 if it is no longer the
--          caller's
-- States   running → running
local ends, reply = text(now + tonumber(ARGV[2])), {}
for i = 3, #ARGV, 3 do
  local id, begun, answer = ARGV[i], ARGV[i + 2], 0
  local job = redis.pcall('HMGET', record(id), 'token', 'cancel', 'begun')
  if job[1] == ARGV[i + 1] then
    redis.call('ZADD', K.running, ends, id)
    if begun == '1' and job[3] ~= '2' then redis.call('HSET', record(id), 'begun', '2') end
    answer = job[2] and 2 or 1
  end
  reply[#reply + 1] = answer
end
return done(reply)
