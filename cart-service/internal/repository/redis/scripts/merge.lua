-- ARGV[3]: the guest. ARGV[4]: the time up to which is forgotten what was told.
-- ARGV[5..]: four a line: product, quantity, how it was added, what is known of it.
if told(ARGV[3], ARGV[4]) then return answer('ok') end

local room, touched = MAX_LINES - lines(), false
for i = 5, #ARGV, 4 do
  local product, more = ARGV[i], tonumber(ARGV[i + 1])
  local had = quantity(product)
  if had > 0 and had < MAX_QUANTITY then
    redis.call('HSET', cart, 'q:' .. product, string.format('%d', math.min(had + more, MAX_QUANTITY)))
    touched = true
  elseif had == 0 and room > 0 then
    room, touched = room - 1, true
    redis.call('HSET', cart, 'q:' .. product, ARGV[i + 1], 'a:' .. product, ARGV[i + 2], 'k:' .. product, ARGV[i + 3])
  end
end
if touched then changed() end
return answer('ok')
