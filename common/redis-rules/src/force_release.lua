-- Releases a lock of any owner.
--
-- KEYS[1]: the lock's key
--
-- Returns the first 4,096 bytes of the owner, or nil if nobody held it.
local owner = redis.call('GET', KEYS[1])
if not owner then
  return false
end
redis.call('DEL', KEYS[1])
return string.sub(owner, 1, 4096)
