-- KEYS[2]: the orders that were taken out, a sorted set of ids by time, in the same slot as the cart.
-- ARGV[3]: the order. ARGV[4]: the time up to which orders are forgotten. ARGV[5..]: pairs of a product and a quantity.
local orders, order = KEYS[2], ARGV[3]
redis.call('ZREMRANGEBYSCORE', orders, '-inf', ARGV[4])
if redis.call('ZADD', orders, 'NX', now, order) == 0 then return bare('ok') end
redis.call('ZREMRANGEBYRANK', orders, 0, -MAX_ORDERS - 1)
redis.call('PEXPIRE', orders, ORDERS_LIFETIME)

local touched = false
for i = 5, #ARGV, 2 do
  local product, had, bought = ARGV[i], quantity(ARGV[i]), tonumber(ARGV[i + 1])
  if had > 0 then
    touched = true
    if bought < had then
      redis.call('HSET', cart, 'q:' .. product, string.format('%d', had - bought))
    else
      remove(product)
    end
  end
end
if touched then changed() end
return bare('ok')
