-- Shows what records say, short ones and others alike. This call is a contract, too: it is how a program in any language
-- finds out what became of a job (docs/queue-protocol.md).
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts · 2 how many names of fields, then these; `#NAME` is that field's length in bytes ·
--          then the ids
-- Returns  for each id its values, an empty one where the record does not have the field, or nothing at all
-- States   none
local names, first, answers = {}, 3 + ARGV[2], {}
for i = 3, first - 1 do names[#names + 1] = ARGV[i] end

local function value_of(job, name)
  local measured = string.match(name, '^#(.*)$')
  if measured then return job[measured] and text(#job[measured]) or false end
  return job[name] or false
end

for i = first, #ARGV do
  local job, values = short_record(ARGV[i]), {}
  if job then
    for n, name in ipairs(names) do values[n] = value_of(job, name) end
  else
    -- What another program has put there may be no hash.
    local fields = redis.pcall('HMGET', RECORD .. ARGV[i], unpack(names))
    if fields.err and not string.find(fields.err, '^WRONGTYPE') then return fields end
    for n, name in ipairs(names) do
      local measured = not fields.err and string.match(name, '^#(.*)$')
      local there = measured and redis.call('HEXISTS', RECORD .. ARGV[i], measured) == 1
      values[n] = there and text(redis.call('HSTRLEN', RECORD .. ARGV[i], measured)) or fields[n] or false
    end
  end
  answers[#answers + 1] = values
end
return answers
