-- Cancels jobs: one that is scheduled or queued at once; of one that runs, its worker is told to end the attempt.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now in µs ('' = ask TIME) · 2 how long to keep them, in µs, then the ids
-- Returns  for each id 1 if it was cancelled, 2 if it runs and its worker was asked, 0 if it has ended, -1 if it is not in
--          this queue
-- States   scheduled, queued → cancelled; running → running
local reply = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local job, answer = ends.leaving(id), 0
  if not job.state then
    answer = -1
  elseif job.state == 'scheduled' or job.state == 'queued' then
    ends.end_unrun(id, job, 'cancelled', tonumber(ARGV[2]))
    answer = 1
  elseif job.state == 'running' then
    ends.ask_to_end(id)
    answer = 2
  end
  reply[#reply + 1] = answer
end
return done(reply)
