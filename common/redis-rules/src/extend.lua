-- Extends a lock: see extend.rs
local owner = redis.call('GET', KEYS[1])
if not owner then
  return -1
end
if owner ~= ARGV[1] then
  return -2
end
local wanted = tonumber(ARGV[2])
if ARGV[3] ~= '0' then
  -- Less if this runs late. Never more, whatever the clock was set to.
  local time = redis.call('TIME')
  wanted = math.min(wanted, ARGV[3] - time[1] * 1000 - math.ceil(time[2] / 1000))
end
local left = redis.call('PTTL', KEYS[1])
local shorten = ARGV[4] == '1' and wanted > 0
if left < 0 and not shorten then
  -- Another program made it last for ever.
  return math.max(wanted, 0)
end
if wanted > left or shorten then
  redis.call('PEXPIRE', KEYS[1], wanted)
  return wanted
end
-- A give-back of an earlier grant of this owner knows it by its expiry, and must not find this one.
redis.call('PEXPIRE', KEYS[1], left + 1)
return left
