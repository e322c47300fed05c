-- ARGV[3]: the order. ARGV[4]: the time up to which is forgotten what was told. ARGV[5..]: pairs of a product and a quantity.
if told(ARGV[3], ARGV[4]) then return bare('ok') end

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
