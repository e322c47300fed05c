-- ARGV[3]: the user that the guest's cart is for from now on.
if sealed and sealed ~= ARGV[3] then return bare('merged') end
if version and not sealed then
  redis.call('HSET', cart, 'to', ARGV[3])
  redis.call('PEXPIRE', cart, LIFETIME)
end
return answer('ok')
