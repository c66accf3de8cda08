-- Reads the holder of a lock: see inspect.rs
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
