-- What all scripts begin with. They are the verbs of domain.Cart, step by step; the constants come from there.
--
-- KEYS[1] is the cart, a hash: v its version, at the time of the last change, and three fields a line:
-- q:<product> the quantity, a:<product> how it was when it was added, k:<product> what is known of it.
-- A guest's has the field to as well from the day on which it is sealed for a user, and nothing else when it was merged.
-- KEYS[2] is what was told of the cart, a sorted set by time: ids of orders, and owners of carts that were merged.
-- ARGV[1] is the version that the caller saw, '' for any; ARGV[2] the time of the change in microseconds.
local cart, memory, seen, now = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local version, sealed = unpack(redis.call('HMGET', cart, 'v', 'to'))

local function refusal()
  if sealed then return 'merged' end
  if seen ~= '' and seen ~= (version or '0') then return 'version_mismatch' end
end

local function quantity(product)
  return tonumber(redis.call('HGET', cart, 'q:' .. product) or '0')
end

local function lines()
  return math.max(0, redis.call('HLEN', cart) - 2) / 3
end

local function changed()
  redis.call('HINCRBY', cart, 'v', 1)
  redis.call('HSET', cart, 'at', now)
  redis.call('PEXPIRE', cart, LIFETIME)
end

local function remove(product)
  redis.call('HDEL', cart, 'q:' .. product, 'a:' .. product, 'k:' .. product)
end

-- put makes the quantity of a product what is said; the caller has checked it.
local function put(product, wanted, added, known)
  if quantity(product) == 0 then
    if lines() >= MAX_LINES then return 'line_limit' end
    redis.call('HSET', cart, 'a:' .. product, added)
  end
  redis.call('HSET', cart, 'q:' .. product, string.format('%d', wanted), 'k:' .. product, known)
  changed()
  return 'ok'
end

-- told says whether something was told before, and keeps it from now on. What is older than forgotten is forgotten.
local function told(what, forgotten)
  redis.call('ZREMRANGEBYSCORE', memory, '-inf', forgotten)
  if redis.call('ZADD', memory, 'NX', now, what) == 0 then return true end
  redis.call('ZREMRANGEBYRANK', memory, 0, -REMEMBER - 1)
  redis.call('PEXPIRE', memory, REMEMBER_FOR)
  return false
end

local function answer(outcome)
  return {outcome, redis.call('HGETALL', cart)}
end

-- bare answers where nobody reads the cart.
local function bare(outcome)
  return {outcome, {}}
end
