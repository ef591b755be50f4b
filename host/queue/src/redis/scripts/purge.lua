#!lua flags=allow-oom
-- Removes jobs that are scheduled or queued, a bounded number at a time.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now, as for all scripts; not used · 2 at most so many of each kind
-- Returns  how many jobs were removed; call again until it is 0
-- States   scheduled, queued → (none)
local removed = 0
for _, index in ipairs({ 2, 3 }) do
  local popped = redis.call('ZPOPMIN', KEYS[index], ARGV[2])
  for i = 1, #popped, 2 do
    redis.call('UNLINK', KEYS[1] .. ':' .. popped[i])
    removed = removed + 1
  end
end
return removed
