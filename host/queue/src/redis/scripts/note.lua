-- Notes how far attempts are and what they logged, each only if its token is still the job's.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts · 2 at most so many bytes of log, then four for each attempt:
--          id · token · progress from 0 to 1 ('' = as it was) · lines to add to the job's log, each with its line end
-- Returns  nothing
-- States   running → running
local most = tonumber(ARGV[2])
for i = 3, #ARGV, 4 do
  local id, token, progress, new = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local lease = redis.call('HGET', K.leased, id)
  local key = lease and is_of_token(lease, token) and record(id) or RECORD .. id
  local job = redis.pcall('HMGET', key, 'token', 'log')
  if job[1] == token then
    if progress ~= '' then redis.call('HSET', key, 'progress', progress) end
    if new ~= '' then
      local log = (job[2] or '') .. new
      -- Whole lines are cut off at the front.
      if #log > most then log = string.sub(log, (string.find(log, '\n', #log - most, true) or #log) + 1) end
      redis.call('HSET', key, 'log', log)
    end
  end
end
return done(nil)
