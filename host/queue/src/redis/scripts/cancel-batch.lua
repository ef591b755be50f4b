-- Cancels a batch and those that stand in it: what waits at once; the workers of what runs are told to end it.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 how long to keep cancelled jobs, in µs · 3 the batch
-- Returns  how many jobs were cancelled · how many run and their workers were asked; -1 and 0 if the batch is not in this
--          queue, -2 and 0 if it is not open
-- States   scheduled, queued → cancelled; running → running
local state = redis.call('HGET', flow.batch_key(ARGV[3]), 'state')
if state ~= 'open' then return { state and -2 or -1, 0 } end

-- All of them first: none of them enqueues anything any more.
local open, next = { ARGV[3] }, 1
while open[next] do
  local b = redis.call('HMGET', flow.batch_key(open[next]), 'state', 'batches')
  redis.call('HSET', flow.batch_key(open[next]), 'state', 'cancelled')
  for nested in string.gmatch(b[2] or '', '[^\n]+') do
    local inside = redis.call('HMGET', flow.batch_key(nested), 'state', 'parent')
    if inside[1] == 'open' and inside[2] == open[next] then open[#open + 1] = nested end
  end
  next = next + 1
end

local cancelled, asked = 0, 0
for _, batch in ipairs(open) do
  for _, id in ipairs(redis.call('ZRANGE', K['batch-jobs:' .. batch], 0, -1)) do
    local job = ends.leaving(id)
    if job.flow and flow.parts_of(job.flow) == batch then
      if job.state == 'scheduled' or job.state == 'queued' then
        ends.end_unrun(id, job, 'cancelled', tonumber(ARGV[2]))
        cancelled = cancelled + 1
      elseif job.state == 'running' then
        ends.ask_to_end(id)
        asked = asked + 1
      end
    end
  end
end
return done({ cancelled, asked })
