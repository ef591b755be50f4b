-- Accepts jobs of one queue: all of them, or none. This call is the contract for producers in any language
-- (docs/queue-protocol.md), so it checks what it is given (accept.lua).
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME), then six for each job:
--          id · task · payload · run_at in µs ('' = now) · priority ('' = 0) · options (a JSON object, '' = none)
-- Returns  for each job 1 if it was accepted, 0 if a job with this id was there already (it stays as it was), or the id
--          of the job that has its unique key
-- Errors   INVALID with a sentence; nothing was accepted
-- States   (none) → queued, scheduled
local FIELDS = 6
local count = (#ARGV - 1) / FIELDS
if #KEYS ~= 1 or count < 1 or count ~= math.floor(count) then
  return redis.error_reply('INVALID give the queue as the key, and as arguments the time and then ' .. FIELDS .. ' for each job')
end
local jobs = {}
for i = 1, count do
  local job, reason = accept.read_job(unpack(ARGV, 2 + (i - 1) * FIELDS, 1 + i * FIELDS))
  if not job then return redis.error_reply('INVALID job ' .. i .. ' of ' .. count .. ': ' .. reason) end
  jobs[i] = job
end

if not is_fair() then reserve(count) end
local answers = {}
for i, job in ipairs(jobs) do answers[i] = accept.job(job) end
accept.put()
return done(answers)
