-- What all scripts begin with. They are the verbs of domain.Cart, step by step; the constants come from there.
--
-- KEYS[1] is the cart, a hash: v its version, at the time of the last change, and three fields a line:
-- q:<product> the quantity, a:<product> how it was when it was added, k:<product> what is known of it.
-- ARGV[1] is the version that the caller saw, '' for any; ARGV[2] the time of the change in microseconds.
local cart, seen, now = KEYS[1], ARGV[1], ARGV[2]

local function mismatch()
  return seen ~= '' and seen ~= (redis.call('HGET', cart, 'v') or '0')
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

local function answer(outcome)
  return {outcome, redis.call('HGETALL', cart)}
end

-- bare answers where nobody reads the cart.
local function bare(outcome)
  return {outcome, {}}
end
