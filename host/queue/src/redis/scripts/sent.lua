-- Takes jobs out of the outbox that have arrived in their queues.
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts, then the names of their entries
-- Returns  nothing
for i = 2, #ARGV do
  redis.call('HDEL', K.outbox, ARGV[i])
  redis.call('ZREM', K['outbox-due'], ARGV[i])
end
return done(nil)
