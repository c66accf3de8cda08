-- Makes a resource's latest fencing token at least as large as one that was given elsewhere.
--
-- KEYS[1]: the key of the resource's latest fencing token
-- ARGV[1]: the fencing token
-- ARGV[2]: for how many milliseconds the token is kept; one that is kept for longer already stays so
--
-- Returns the latest fencing token after that.
local latest = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
local number = math.max(latest, tonumber(ARGV[1]))
-- Beyond this, Lua's numbers are not exact. Another program must have written it.
if not (number < 9007199254740991) then
  return redis.error_reply('ERR the latest fencing token in ' .. KEYS[1] .. ' is too large')
end
local kept = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.0f', number), 'PX', string.format('%.0f', kept))
return number
