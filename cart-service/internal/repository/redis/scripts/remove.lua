-- ARGV[3]: product.
if mismatch() then return bare('version_mismatch') end
if quantity(ARGV[3]) > 0 then
  remove(ARGV[3])
  changed()
end
return answer('ok')
