-- The version stays, and goes on: no version ever means two contents.
if mismatch() then return bare('version_mismatch') end
if lines() > 0 then
  local version = redis.call('HGET', cart, 'v')
  redis.call('DEL', cart)
  redis.call('HSET', cart, 'v', version)
  changed()
end
return bare('ok')
