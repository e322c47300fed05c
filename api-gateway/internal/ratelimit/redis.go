package ratelimit

import (
	"errors"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	shopredis "shop.example/platform/redis"
)

// OpenRedis returns a client for the server at rawURL without asking whether it is there: the gateway starts without it.
// Its limits are those of one that may be missed. It is not traced: a span for the count of each request would say nothing.
func OpenRedis(rawURL string) (redis.UniversalClient, error) {
	shopredis.LogToSlog()
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, errors.New("REDIS_URL is not a redis:// URL") // the parser's error may repeat the password
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = redisTimeout, redisTimeout, redisTimeout, redisTimeout
	o.MaxRetries = -1 // the fallback is better than a second try
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(o), nil
}
