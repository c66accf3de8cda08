-- Takes a lock unless it is held, and numbers the grant.
--
-- KEYS[1]: the lock's key
-- KEYS[2]: the key of the resource's latest fencing token
-- ARGV[1]: the owner
-- ARGV[2], ARGV[3]: how the lock expires, as `SET` takes it: PXAT or PX, and milliseconds
-- ARGV[4]: for how many milliseconds the fencing token is kept
--
-- Returns the fencing token, or nil if the lock is held.
--
-- The fencing token is the server's time in microseconds, but always more than the latest one. So it grows also if
-- the latest fencing token was lost, unless the clock was set back as well.
local time = redis.call('TIME')
local latest = tonumber(redis.call('GET', KEYS[2]) or 0) or 0
-- Beyond this, Lua's numbers are not exact. Another program must have written it.
if not (latest < 9007199254740991) then
  return redis.error_reply('ERR the latest fencing token in ' .. KEYS[2] .. ' is too large')
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', ARGV[2], ARGV[3]) then
  return false
end
local number = math.max(latest + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[2], string.format('%.0f', number), 'PX', ARGV[4])
return number
