-- Lists the locks that are held, of one part of the keys.
--
-- ARGV[1]: the cursor; 0 to begin
-- ARGV[2]: the pattern of the keys
-- ARGV[3]: about how many keys to look at
--
-- Returns the next cursor, which is 0 after the last part, and for each lock its key, the first 256 bytes of its
-- owner and the milliseconds that are left (-1 for ever).
local part = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local found = { part[1] }
for _, key in ipairs(part[2]) do
  -- A key that is not a string is not a lock, and a page of long names would be too long.
  local owner = #key <= 4096 and redis.pcall('GET', key)
  if type(owner) == 'string' then
    found[#found + 1] = key
    found[#found + 1] = string.sub(owner, 1, 256)
    found[#found + 1] = string.format('%.0f', redis.call('PTTL', key))
  end
end
return found
