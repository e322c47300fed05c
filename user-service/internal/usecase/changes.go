package usecase

import (
	"context"
	"fmt"
	"time"

	"shop.example/platform/auth"
)

const (
	// changeMatters is for how long a change matters to those who verify access tokens: they live 15 minutes, and somebody's
	// clock may be behind.
	changeMatters = 20 * time.Minute
	// changeOverlap is how far each answer reaches back behind the last one. A change takes its time after its first lock,
	// and becomes visible when its transaction commits: at most one statement that waits is in between, and a statement ends
	// after 10 s. The rest is for the clocks of two replicas, which differ a little.
	changeOverlap = 20 * time.Second
)

// AccessChanges is what became different for access tokens that are still good by themselves.
type AccessChanges struct {
	EndedSessions []string
	// Users are those whose role changed, with the role that they have now; no role stands for a user who was deleted.
	Users map[string]auth.Role
	// Next is the time to ask from next.
	Next time.Time
}

// Changes returns what changed since a time. The zero time stands for all that still matters.
func (s *Sessions) Changes(ctx context.Context, since time.Time) (AccessChanges, error) {
	now := s.now()
	if oldest := now.Add(-changeMatters); since.Before(oldest) {
		since = oldest
	}
	ended, err := s.sessions.SessionsEndedSince(ctx, since)
	if err != nil {
		return AccessChanges{}, fmt.Errorf("list changes: %w", err)
	}
	users, err := s.sessions.UsersChangedSince(ctx, since)
	if err != nil {
		return AccessChanges{}, fmt.Errorf("list changes: %w", err)
	}
	c := AccessChanges{
		EndedSessions: make([]string, len(ended)), Users: make(map[string]auth.Role, len(users)), Next: now.Add(-changeOverlap),
	}
	for i, id := range ended {
		c.EndedSessions[i] = id.String()
	}
	for id, role := range users {
		c.Users[id.String()] = auth.Role(role)
	}
	return c, nil
}
