-- Makes a lock last longer if the owner holds it.
--
-- KEYS[1]: the lock's key
-- ARGV[1]: the owner
-- ARGV[2], ARGV[3]: how the lock expires: PXAT and the milliseconds since 1970, or PX and the milliseconds
-- ARGV[4]: 1 if a lock that would last longer ends earlier now, else 0
--
-- Returns how many milliseconds are left at least; -1 if the lock is not set, -2 if another owner holds it.
local owner = redis.call('GET', KEYS[1])
if not owner then
  return -1
end
if owner ~= ARGV[1] then
  return -2
end
local wanted = tonumber(ARGV[3])
if ARGV[2] == 'PXAT' then
  local time = redis.call('TIME')
  wanted = wanted - time[1] * 1000 - math.ceil(time[2] / 1000)
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  -- Another program made it last for ever.
  return math.max(wanted, 0)
end
if wanted > left or (ARGV[4] == '1' and wanted > 0) then
  redis.call(ARGV[2] == 'PXAT' and 'PEXPIREAT' or 'PEXPIRE', KEYS[1], ARGV[3])
  return wanted
end
return left
