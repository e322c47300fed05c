-- ARGV[3]: the user that the guest's cart was sealed for. The seal is all that stays.
if version and sealed == ARGV[3] then
  redis.call('DEL', cart)
  redis.call('HSET', cart, 'to', sealed)
  redis.call('PEXPIRE', cart, LIFETIME)
end
return bare('ok')
