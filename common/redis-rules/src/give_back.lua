-- Deletes a lock that is one grant of its owner's, and no other, not even a newer one of the same owner.
--
-- KEYS[1]  the lock's key
-- ARGV[1]  the owner
-- ARGV[2]  when that grant expires, in milliseconds since 1970
--
-- Returns 1 if the lock was that grant and is gone, 0 if it was left alone. Needs Redis 7.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if redis.call('PEXPIRETIME', KEYS[1]) ~= tonumber(ARGV[2]) then
  return 0
end
return redis.call('DEL', KEYS[1])
