package usecase

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"shop.example/user-service/internal/domain"
)

const (
	// keepSessions is how long a session is kept after its last use: 30 days until it is over for sure, and 30 more in which a
	// stolen token of it is still told apart from a made-up one.
	keepSessions = 2 * domain.SessionIdleLifetime
	// keepSpentTokens is how long the second use of a refresh token is noticed. A token that is older has been spent for as
	// long as a session may be idle; it is answered like an unknown one.
	keepSpentTokens = domain.SessionIdleLifetime
	// keepTombstones is how long it is known that a user was deleted. Whoever keeps something for users may ask and clear it
	// away: it is twice the 30 days after which a cart goes by itself, so one who was away for a month still hears of it.
	keepTombstones = 60 * 24 * time.Hour
	// sweepBatch keeps each deletion at some milliseconds.
	sweepBatch = 1000
)

// OldSessions is the store as housekeeping needs it. All return how many they cleared away, at most limit.
type OldSessions interface {
	DeleteSessionsUnusedSince(ctx context.Context, before time.Time, limit int) (int64, error)
	DeleteTokensSpentBefore(ctx context.Context, before time.Time, limit int) (int64, error)
	// ForgetSuccessors erases the successors of tokens that were spent before.
	ForgetSuccessors(ctx context.Context, before time.Time, limit int) (int64, error)
	DeleteTombstonesOlderThan(ctx context.Context, before time.Time, limit int) (int64, error)
	// DeleteMetersEndedBefore deletes the meters that had nothing to remember any more.
	DeleteMetersEndedBefore(ctx context.Context, before time.Time, limit int) (int64, error)
}

// Housekeeping deletes what is of no use to anyone anymore. Any number of replicas may do so at once.
type Housekeeping struct {
	store OldSessions
	log   *slog.Logger
	now   func() time.Time
}

// NewHousekeeping returns the housekeeping. now is the clock.
func NewHousekeeping(store OldSessions, log *slog.Logger, now func() time.Time) *Housekeeping {
	return &Housekeeping{store, log, now}
}

// Sweep deletes all that is old now.
func (h *Housekeeping) Sweep(ctx context.Context) error {
	now := h.now()
	for _, old := range []struct {
		what   string
		before time.Time
		remove func(context.Context, time.Time, int) (int64, error)
	}{
		{"sessions", now.Add(-keepSessions), h.store.DeleteSessionsUnusedSince},
		{"refresh tokens", now.Add(-keepSpentTokens), h.store.DeleteTokensSpentBefore},
		{"successors", now.Add(-domain.RepeatLifetime), h.store.ForgetSuccessors},
		{"tombstones", now.Add(-keepTombstones), h.store.DeleteTombstonesOlderThan},
		{"meters", now, h.store.DeleteMetersEndedBefore},
	} {
		n, err := inBatches(ctx, old.before, old.remove)
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if n > 0 {
			h.log.InfoContext(ctx, "swept", "what", old.what, "count", n)
		}
	}
	return nil
}

func inBatches(ctx context.Context, before time.Time, remove func(context.Context, time.Time, int) (int64, error)) (int64, error) {
	var total int64
	for {
		n, err := remove(ctx, before, sweepBatch)
		total += n
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
}
