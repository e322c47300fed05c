-- ARGV[3..6]: product, quantity, how it is added, what is known of it.
if refusal() then return bare(refusal()) end
local more = tonumber(ARGV[4])
local sum = quantity(ARGV[3]) + more
if more < 1 or sum > MAX_QUANTITY then return bare('quantity_limit') end
return answer(put(ARGV[3], sum, ARGV[5], ARGV[6]))
