#!lua flags=allow-oom
-- Removes jobs that are not running, with their results.
--
-- KEYS     1 job · 2 queued · 3 scheduled · 4 seq · 5 wake · 6 running · 7 succeeded · 8 dead · 9 cancelled
-- ARGV     1 now, as for all scripts; not used · then the ids
-- Returns  for each id 1 if it was removed, 0 if it is running, -1 if it is not in this queue
-- States   scheduled, queued, succeeded, dead, cancelled → (none)
local from = { queued = KEYS[2], scheduled = KEYS[3], succeeded = KEYS[7], dead = KEYS[8], cancelled = KEYS[9] }
local reply = {}
for i = 2, #ARGV do
  local key = KEYS[1] .. ':' .. ARGV[i]
  local state = redis.call('HGET', key, 'state')
  if state and from[state] then
    redis.call('ZREM', from[state], ARGV[i])
    redis.call('UNLINK', key)
  end
  reply[#reply + 1] = not state and -1 or from[state] and 1 or 0
end
return reply
