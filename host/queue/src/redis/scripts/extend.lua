-- Extends leases, each only if its token is still the job's.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 the lease's length in µs from now, then three for each lease:
--          id · token · 1 if its attempt has begun, else 0
-- Returns  for each lease 1 if it was extended, 2 if it was and somebody asked to cancel its job, 0 if it is no longer the
--          caller's
-- States   running → running
local ends, reply, ids = text(now + tonumber(ARGV[2])), {}, {}
for i = 3, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
local leased = redis.call('HMGET', K.leased, unpack(ids))
for n, id in ipairs(ids) do
  local token, begins, answer = ARGV[3 * n + 1], ARGV[3 * n + 2] == '1', 0
  local holder, begun, rest = string.match(leased[n] or '', '^(%d+) (%d)(.*)$')
  if holder == token then
    if begins and begun ~= '2' then redis.call('HSET', K.leased, id, token .. ' 2' .. rest) end
    answer = 1
  elseif not holder then
    local job = redis.pcall('HMGET', RECORD .. id, 'token', 'cancel', 'begun')
    if job[1] == token then
      if begins and job[3] ~= '2' then redis.call('HSET', RECORD .. id, 'begun', '2') end
      answer = job[2] and 2 or 1
    end
  end
  if answer > 0 then redis.call('ZADD', K.running, ends, id) end
  reply[n] = answer
end
return done(reply)
