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
	// sweepBatch keeps each deletion at some milliseconds.
	sweepBatch = 1000
)

// OldSessions is the store as housekeeping needs it. Both return how many they deleted, at most limit.
type OldSessions interface {
	DeleteSessionsUnusedSince(ctx context.Context, before time.Time, limit int) (int64, error)
	DeleteTokensSpentBefore(ctx context.Context, before time.Time, limit int) (int64, error)
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
	sessions, err := inBatches(ctx, h.now().Add(-keepSessions), h.store.DeleteSessionsUnusedSince)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	tokens, err := inBatches(ctx, h.now().Add(-keepSpentTokens), h.store.DeleteTokensSpentBefore)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if sessions+tokens > 0 {
		h.log.InfoContext(ctx, "swept", "sessions", sessions, "refresh_tokens", tokens)
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
