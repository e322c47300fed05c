-- ARGV[3]: product.
if refusal() then return bare(refusal()) end
if quantity(ARGV[3]) > 0 then
  remove(ARGV[3])
  changed()
end
return answer('ok')
