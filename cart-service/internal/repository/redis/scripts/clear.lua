-- The version stays, and goes on: no version ever means two contents.
if refusal() then return bare(refusal()) end
if lines() > 0 then
  redis.call('DEL', cart)
  redis.call('HSET', cart, 'v', version)
  changed()
end
return bare('ok')
