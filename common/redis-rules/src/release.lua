-- Deletes a lock that is its owner's, and no other.
--
-- KEYS[1]  the lock's key
-- ARGV[1]  the owner
--
-- Returns 1 if the lock was the owner's and is gone, -1 if there was none, -2 if it is someone
-- else's and was left alone.

local holder = redis.call('GET', KEYS[1])
if not holder then
  return -1
end
if holder ~= ARGV[1] then
  return -2
end
redis.call('DEL', KEYS[1])
return 1
