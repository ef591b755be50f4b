-- Makes a queue fair by key, or first in first out again. Jobs that are queued keep their places.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts · 2 1 = fair, 0 = not
-- Returns  1 if that changed anything, else 0
if (is_fair() and '1' or '0') == ARGV[2] then return 0 end
if ARGV[2] == '1' then
  redis.call('HSET', K.fair, 'since', text(redis.call('INCR', K.seq)))
  return 1
end
local last, turns = 0, redis.call('HGETALL', K.fair)
for _, key in ipairs(turns) do
  -- Names and values alike: an index that is not there has no last turn.
  last = math.max(last, tonumber(redis.call('ZRANGE', K['turns:' .. key], -1, -1, 'WITHSCORES')[2]) or 0)
  redis.call('UNLINK', K['turns:' .. key])
end
redis.call('DEL', K.fair)
if last > tonumber(redis.call('GET', K.seq) or 0) then redis.call('SET', K.seq, text(last)) end
return 1
