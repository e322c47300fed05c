package redis

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// onceOnly keeps the client of a cluster from sending a command again whose answer was lost. go-redis has a setting for that
// (max_retries) which the client of a cluster passes to those of its nodes and then does not follow itself: it goes by the
// kind of the error, and tries a broken connection and a timeout again like a redirect.
type onceOnly struct{}

// DialHook changes nothing.
func (onceOnly) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook hides what a lost answer is made of.
func (onceOnly) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil || ctx.Err() != nil || answered(err) || notSent(err) {
			return err
		}
		return answerLostError{err.Error()}
	}
}

// ProcessPipelineHook changes nothing: what is sent in pipelines has to bear repetition.
func (onceOnly) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func answered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed)
}

// answerLostError is text alone, because whatever it wrapped would be found and taken as a reason to try again.
type answerLostError struct{ cause string }

func (e answerLostError) Error() string { return "the answer is lost: " + e.cause }
