-- Shows what records say, short ones and others alike. This call is a contract, too: it is how a program in any language
-- finds out what became of a job (docs/queue-protocol.md).
--
-- KEYS     1 the queue (common.lua)
-- ARGV     1 now, as for all scripts · 2 how many names of fields, then these; `#NAME` is that field's length in bytes ·
--          then the ids
-- Returns  for each id its values, an empty one where the record does not have the field, or nothing at all
-- States   none
local names, measured, first, answers = {}, {}, 3 + ARGV[2], {}
for i = 3, first - 1 do
  local n = #names + 1
  names[n], measured[n] = ARGV[i], string.match(ARGV[i], '^#(.*)$')
end

for i = first, #ARGV do
  local job, values = short_record(ARGV[i]), {}
  if job then
    for n, name in ipairs(names) do
      local value = job[measured[n] or name]
      values[n] = value and measured[n] and text(#value) or value or false
    end
  else
    -- What another program has put there may be no hash.
    local fields = redis.pcall('HMGET', RECORD .. ARGV[i], unpack(names))
    if fields.err and not string.find(fields.err, '^WRONGTYPE') then return fields end
    for n = 1, #names do
      local name = not fields.err and measured[n]
      local there = name and redis.call('HEXISTS', RECORD .. ARGV[i], name) == 1
      values[n] = there and text(redis.call('HSTRLEN', RECORD .. ARGV[i], name)) or fields[n] or false
    end
  end
  answers[#answers + 1] = values
end
return answers
