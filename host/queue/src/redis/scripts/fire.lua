-- Makes the job of a periodic one for a time that has come, or skips it; only if it is still due for that time, so that of
-- many workers one does.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 the periodic job's name · 3 the time it was due, in µs · 4 when it is due next
--          ('' = never) · 5 what is kept of it, then, unless the time is skipped, the six texts of the job (accept.lua)
-- Returns  1 if this call did it, else 0
-- Errors   INVALID with a sentence; nothing was changed
-- States   (none) → queued, scheduled
local name = ARGV[2]
if tonumber(redis.call('ZSCORE', K['cron-due'], name) or -1) ~= tonumber(ARGV[3]) then return 0 end
if ARGV[6] then
  local job, reason = accept.read_job(unpack(ARGV, 6, 11))
  if not job then return redis.error_reply('INVALID ' .. reason) end
  accept.job(job)
  accept.put()
end
if ARGV[4] == '' then
  redis.call('ZREM', K['cron-due'], name)
else
  redis.call('ZADD', K['cron-due'], ARGV[4], name)
end
redis.call('HSET', K.cron, name, ARGV[5])
return done(1)
