-- ARGV[3..6]: product, quantity, how it is added, what is known of it.
if refusal() then return bare(refusal()) end
local wanted = tonumber(ARGV[4])
if wanted < 1 or wanted > MAX_QUANTITY then return bare('quantity_limit') end
if quantity(ARGV[3]) == wanted then return answer('ok') end
return answer(put(ARGV[3], wanted, ARGV[5], ARGV[6]))
