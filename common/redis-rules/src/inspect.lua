-- Reads the holder of a lock.
--
-- KEYS[1]: the lock's key
-- KEYS[2]: the key of the resource's latest fencing token, if it is wanted
--
-- Returns nil if nobody does, or the first 4,096 bytes of the owner, the milliseconds that are left (-1 for ever), and
-- the fencing token, if there is one.
local owner = redis.call('GET', KEYS[1])
if not owner then
  return false
end
owner = string.sub(owner, 1, 4096)
local left = string.format('%.0f', redis.call('PTTL', KEYS[1]))
local number = KEYS[2] and redis.call('GET', KEYS[2])
if number then
  return { owner, left, number }
end
return { owner, left }
