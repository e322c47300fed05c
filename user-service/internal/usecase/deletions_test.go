package usecase_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/usecase"
)

// deleted makes users who are deleted now, and returns their ids in order.
func (s *shop) deleted(t *testing.T, emails ...string) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for _, email := range emails {
		grant := s.registerAs(t, email)
		if err := s.profiles.Delete(as(t, grant), usecase.DeleteAccount{Password: secret}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, grant.User.ID())
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

func (s *shop) deletedAfter(t *testing.T, cursor string, limit int) ([]uuid.UUID, string) {
	t.Helper()
	users, next, err := usecase.NewDeletions(s.store, func() time.Time { return s.now }).After(t.Context(), cursor, limit)
	if err != nil {
		t.Fatal(err)
	}
	if len(next) > 200 {
		t.Errorf("a cursor of %d characters is longer than one may be", len(next))
	}
	return users, next
}

// All are deleted in one moment, just now: pages of one pass go on from each other all the same, and the next pass repeats
// what may have had company that was not to be seen yet.
func TestDeletionsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if users, next := s.deletedAfter(t, "", 2); len(users) != 0 || next != "" {
		t.Fatalf("%v and cursor %q of nobody", users, next)
	}
	want := s.deleted(t, "a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com")
	pass := func(cursor string) (seen []uuid.UUID, next string) {
		for {
			page, next := s.deletedAfter(t, cursor, 2)
			seen, cursor = append(seen, page...), next
			if len(page) < 2 {
				return seen, next
			}
			s.now = s.now.Add(30 * time.Second) // long enough for the end of the overlap to go past them in the middle
		}
	}
	seen, cursor := pass("")
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("first pass (-want +got):\n%s", diff)
	}
	seen, cursor = pass(cursor)
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("second pass, in the overlap with the first (-want +got):\n%s", diff)
	}
	if seen, _ = pass(cursor); len(seen) != 0 {
		t.Errorf("third pass, after the overlap: %v", seen)
	}
	late := s.deleted(t, "f@example.com")
	if seen, _ = pass(cursor); !slices.Equal(seen, late) {
		t.Errorf("deleted %v, want %v", seen, late)
	}
}

// Where nothing happens the cursor stays: those who ask need not keep it again.
func TestDeletionsCursorRests(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.deleted(t, "a@example.com")
	s.now = s.now.Add(time.Hour)
	_, cursor := s.deletedAfter(t, "", 10)
	s.now = s.now.Add(time.Hour)
	if users, next := s.deletedAfter(t, cursor, 10); len(users) != 0 || next != cursor {
		t.Errorf("%v, cursor %q; want nobody and %q", users, next, cursor)
	}
}

func TestDeletionsRefuseMadeUpCursors(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.deleted(t, "a@example.com")
	_, good := s.deletedAfter(t, "", 1)
	deletions := usecase.NewDeletions(s.store, time.Now)
	for _, cursor := range []string{"x", good[1:], good + "A", strings.ToUpper(good)} {
		_, _, err := deletions.After(t.Context(), cursor, 1)
		if e := apperr.From(err); e.Kind != apperr.Invalid || len(e.Violations) != 1 || e.Violations[0].Location != "cursor" {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}
