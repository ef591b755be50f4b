-- Removes jobs that are not running, with their results.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts, then the ids
-- Returns  for each id 1 if it was removed, 0 if it is running, -1 if it is not in this queue
-- States   scheduled, queued, succeeded, dead, cancelled, expired → (none)
local reply = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local job = ends.leaving(id)
  if job.state and job.state ~= 'running' then ends.forget(id, job) end
  reply[#reply + 1] = not job.state and -1 or job.state ~= 'running' and 1 or 0
end
return done(reply)
