-- Keeps a periodic job, as it is from now on; or removes it.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts · 2 its name · 3 when it is due next, in µs ('' = not, = as it was) · 4 what is kept of it ('' =
--          remove it) · 5 what was kept of it ('' = nothing was): if that is no longer so, nothing is changed
-- Returns  1 if it was done, 0 if somebody else has changed it
local name, before = ARGV[2], redis.call('HGET', K.cron, ARGV[2]) or ''
if before ~= ARGV[5] then return 0 end
if ARGV[3] ~= '=' then redis.call('ZREM', K['cron-due'], name) end
if ARGV[4] == '' then
  redis.call('HDEL', K.cron, name)
else
  redis.call('HSET', K.cron, name, ARGV[4])
end
if ARGV[3] ~= '' and ARGV[3] ~= '=' then schedule(K['cron-due'], { ARGV[3], name }) end
return done(1)
