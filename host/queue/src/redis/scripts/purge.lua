-- Removes jobs that are scheduled or queued, a bounded number at a time.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts · 2 at most so many of each kind
-- Returns  how many jobs were removed; call again until it is 0
-- States   scheduled, queued → (none)
local removed, left = 0, {}
-- What is held goes last: until then each that goes before it may let one of them back.
for _, key in ipairs({ K.queued, K.scheduled, K.held }) do
  for _, id in ipairs(redis.call('ZRANGE', key, 0, ARGV[2] - 1)) do
    local job = ends.leaving(id)
    if job.state == 'queued' or job.state == 'scheduled' then
      left[#left + 1] = job.flow or nil
      job.flow = nil
      ends.forget(id, job)
    end
    redis.call('ZREM', key, id)
    removed = removed + 1
  end
end
-- After all of them: whose id was taken is free by then.
for _, of in ipairs(left) do flow.ended(of, 'removed') end
return done(removed)
