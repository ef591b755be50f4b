-- Accepts a batch with those that stand in it: all of it, or nothing.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 how many batches · 3 how many ids that are to come, then six for each batch,
--          parents first: its id · its parent ('' = none) · how many members · the ids of the batches in it, a line each ·
--          the lines of its callback · the end of the callback's payload (flow.lua); then the ids that callbacks and jobs
--          that follow are to have; then seven for each job: its batch · its six texts (accept.lua)
-- Returns  1 if it was accepted, 0 if a batch with its id was there already (it stays as it was); nothing was accepted
--          where a job, a batch or a unique key is taken: then which of these words, its name, and who holds the key
-- Errors   INVALID with a sentence; nothing was accepted
-- States   (none) → queued, scheduled
local batches, ids = tonumber(ARGV[2]), tonumber(ARGV[3])
local function exists(batch) return redis.call('EXISTS', flow.batch_key(batch)) == 1 end
if exists(ARGV[4]) then return 0 end
for i = 1, batches - 1 do
  if exists(ARGV[4 + 6 * i]) then return { 'batch', ARGV[4 + 6 * i] } end
end

local first, jobs, unique = 4 + 6 * batches + ids, {}, {}
for i = first, #ARGV, 7 do
  local job, reason = accept.read_job(unpack(ARGV, i + 1, i + 6))
  if not job then return redis.error_reply('INVALID job ' .. ARGV[i + 1] .. ': ' .. reason) end
  if is_taken(job.id) then return { 'job', job.id } end
  local key = job.others.unique_key
  local other = key and (unique[key] or accept.holder(key))
  if other then return { 'unique', key, other } end
  if key then unique[key] = job.id end
  job.batch = ARGV[i]
  jobs[#jobs + 1] = job
end
for i = first - ids, first - 1 do
  if is_taken(ARGV[i]) then return { 'job', ARGV[i] } end
end

for i = 4, 4 + 6 * (batches - 1), 6 do
  local id, parent = ARGV[i], ARGV[i + 1]
  redis.call('HSET', flow.batch_key(id), 'state', 'open', 'at', text(now), 'parent', parent, 'total', ARGV[i + 2],
    'pending', ARGV[i + 2], 'succeeded', 0, 'dead', 0, 'cancelled', 0, 'expired', 0, 'removed', 0,
    'batches', ARGV[i + 3], 'callback', ARGV[i + 4], 'tail', ARGV[i + 5])
  if parent == '' then redis.call('ZADD', K.batches, text(now), id) end
end
if not is_fair() then reserve(#jobs) end
for _, job in ipairs(jobs) do
  accept.job(job)
  flow.join(job.batch, job.id)
end
accept.put()
return done(1)
