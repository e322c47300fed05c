package usecase

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/auth"

	"shop.example/user-service/internal/domain"
)

const (
	// changeMatters is for how long a change matters to those who verify access tokens: they live 15 minutes, and somebody's
	// clock may be behind.
	changeMatters = 20 * time.Minute
	// changeOverlap is how far each answer reaches back behind the last one. A change takes its time after its first lock,
	// and becomes visible when its transaction commits: at most one statement that waits is in between, and a statement ends
	// after 10 s. The rest is for the clocks of two replicas, which differ a little.
	changeOverlap = 20 * time.Second
	// changesAtOnce bounds an answer, of sessions and of users: it is half a megabyte, and takes some milliseconds to find.
	changesAtOnce = 10_000
)

// EndedSession is the end of a session.
type EndedSession struct {
	ID uuid.UUID
	At time.Time
}

// ChangedUser is what a user may do since a time; no role stands for a user who was deleted.
type ChangedUser struct {
	ID   uuid.UUID
	Role domain.Role
	At   time.Time
}

// AccessChanges is what became different for access tokens that are still good by themselves.
type AccessChanges struct {
	EndedSessions []string
	// Users are those whose role changed, with the role that they have now; no role stands for a user who was deleted.
	Users map[string]auth.Role
	// Next is the time to ask from next.
	Next time.Time
}

// Changes returns what changed since a time. The zero time stands for all that still matters. Of more than one answer holds it
// returns the first, and Next is right behind them, however lately they changed: who asks again at once comes to the end in well
// under the ten seconds that the overlap has to spare, and the answer at the end reaches back as ever.
func (s *Sessions) Changes(ctx context.Context, since time.Time) (AccessChanges, error) {
	now := s.now()
	if oldest := now.Add(-changeMatters); since.Before(oldest) {
		since = oldest
	}
	ended, err := s.sessions.SessionsEndedSince(ctx, since, changesAtOnce)
	if err != nil {
		return AccessChanges{}, fmt.Errorf("list changes: %w", err)
	}
	users, err := s.sessions.UsersChangedSince(ctx, since, changesAtOnce)
	if err != nil {
		return AccessChanges{}, fmt.Errorf("list changes: %w", err)
	}
	// All that happened at the time of the last is in the answer, so the next one begins after it.
	var behind []time.Time
	if len(ended) >= changesAtOnce {
		behind = append(behind, ended[len(ended)-1].At.Add(time.Microsecond))
	}
	if len(users) >= changesAtOnce {
		behind = append(behind, users[len(users)-1].At.Add(time.Microsecond))
	}
	next := now.Add(-changeOverlap)
	if len(behind) > 0 {
		next = slices.MinFunc(behind, time.Time.Compare)
	}
	c := AccessChanges{EndedSessions: make([]string, len(ended)), Users: make(map[string]auth.Role, len(users)), Next: next}
	for i, session := range ended {
		c.EndedSessions[i] = session.ID.String()
	}
	for _, user := range users {
		c.Users[user.ID.String()] = auth.Role(user.Role)
	}
	return c, nil
}
