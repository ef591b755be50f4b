-- Finds out which of these commands this user may not run in a script. Redis itself does not say which it was, and what a
-- script had done before that stays done; so a worker asks before it works.
--
-- KEYS     1 a key that is nobody's
-- ARGV     1 now in µs · then the commands
-- Returns  the rights that are missing, as ACL SETUSER takes them
-- States   none
local KEY, missing = KEYS[1], {}
-- Each with arguments that it takes; it may as well say that the key holds something else.
local ARGUMENTS = {
  DECRBY = { KEY, 0 }, DEL = { KEY }, EXISTS = { KEY }, GET = { KEY }, HDEL = { KEY, 'f' },
  HEXISTS = { KEY, 'f' }, HGET = { KEY, 'f' }, HGETALL = { KEY }, HINCRBY = { KEY, 'f', 0 }, HLEN = { KEY },
  HMGET = { KEY, 'f' }, HSET = { KEY, 'f', '' },
  HSETNX = { KEY, 'f', '' }, HSTRLEN = { KEY, 'f' }, INCR = { KEY }, INCRBY = { KEY, 0 }, PUBLISH = { 'afresh:{}:wake', '' },
  SET = { KEY, '' }, TIME = {}, UNLINK = { KEY }, ZADD = { KEY, 0, 'm' }, ZCARD = { KEY }, ZPOPMIN = { KEY },
  ZRANGE = { KEY, 0, 0 }, ZREM = { KEY, 'm' }, ZREMRANGEBYSCORE = { KEY, 0, 0 }, ZSCORE = { KEY, 'm' },
}
-- The right that a refusal is about; nil where it is none.
local function lacking(command, reason)
  if string.find(reason, 'channel', 1, true) then return '&afresh:{*}:wake' end
  if string.find(reason, 'keys mentioned', 1, true) or string.find(reason, 'ermissions to access', 1, true) then return '~afresh:*' end
  if string.find(reason, 'executing the script', 1, true) or string.find(reason, 'permissions', 1, true) then
    return '+' .. string.lower(command)
  end
end

for i = 2, #ARGV do
  local answer = redis.pcall(ARGV[i], unpack(ARGUMENTS[ARGV[i]]))
  if type(answer) == 'table' and answer.err then missing[#missing + 1] = lacking(ARGV[i], answer.err) end
end
redis.pcall('UNLINK', KEY)
return missing
