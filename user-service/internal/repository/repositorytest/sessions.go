package repositorytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

var sessionTests = map[string]func(*testing.T, Store){
	"lists living sessions in pages":              listsSessions,
	"repeats a renewal for its client":            repeatsRenewal,
	"gives all who repeat at once one successor":  repeatsRenewalInRace,
	"forgets a successor that is spent":           forgetsSpentSuccessor,
	"forgets successors that nobody asked for":    forgetsOldSuccessors,
	"ends the other sessions of a user":           endsOtherSessions,
	"ends sessions while they are being renewed":  endsSessionsInRace,
	"opens no session with a password of before":  opensNoSessionAfterChange,
	"ends each session that is opened in between": endsSessionsOpenedInRace,
}

// open signs a user in once more.
func open(t *testing.T, s Store, u *domain.User, at time.Time) (*domain.Session, domain.TokenHash) {
	t.Helper()
	hash := newHash()
	opened, token := session(t, u, hash, at)
	err := s.OpenSession(t.Context(), u.ID(), func(*domain.User) (*domain.Session, domain.RefreshToken, error) {
		return opened, token, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened, hash
}

func listsSessions(t *testing.T, s Store) {
	u, first, _ := signedIn(t, s)
	want := []uuid.UUID{first.ID()}
	for i := range 4 {
		opened, _ := open(t, s, u, noon.Add(time.Duration(i/2)*time.Hour)) // two of them at the same time, two with the first
		want = append(want, opened.ID())
	}
	slices.Reverse(want) // ids of one process stand in the order of their making
	gone, _ := open(t, s, u, noon.Add(30*time.Minute))
	if err := s.UpdateSession(t.Context(), gone.ID(), func(session *domain.Session) error {
		session.End(domain.EndedByLogout, noon.Add(time.Hour))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	open(t, s, u, noon.Add(-domain.SessionIdleLifetime)) // is over
	stranger := newUser(t, "bob@example.com", domain.Customer)
	if err := s.CreateUser(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	open(t, s, stranger, noon)

	living := usecase.LivingSessions{UserID: u.ID(), At: noon.Add(time.Hour)}
	var (
		got   []uuid.UUID
		after usecase.SessionCursor
	)
	for range 4 {
		page, err := s.Sessions(t.Context(), living, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, session := range page {
			got = append(got, session.ID())
			after = usecase.SessionCursor{OpenedAt: session.OpenedAt(), ID: session.ID()}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if n, err := s.CountSessions(t.Context(), living); err != nil || n != int64(len(want)) {
		t.Errorf("%d sessions, error %v; want %d", n, err, len(want))
	}
}

// refresh presents a token with a key as the use case does, and returns the successor.
func refresh(ctx context.Context, s Store, presented, key string, at time.Time) (string, error) {
	var (
		successor = domain.NewRefreshSecret()
		refused   error
	)
	err := s.RenewSession(ctx, domain.HashRefreshToken(presented), func(r *domain.Renewal) error {
		if again, ok := r.Repeat(presented, key, at); ok {
			successor = again
			return nil
		}
		var err error
		if refused = r.Renew(domain.HashRefreshToken(successor), phone, at); refused == nil && key != "" {
			r.Presented.Successor, err = domain.SealSuccessor(successor, presented, key)
		}
		return err
	})
	return successor, errors.Join(err, refused)
}

// secretlySignedIn is signedIn for tests that present the token itself.
func secretlySignedIn(t *testing.T, s Store) (*domain.Session, string) {
	t.Helper()
	u, secret := newUser(t, "ann@example.com", domain.Customer), domain.NewRefreshSecret()
	session, token := session(t, u, domain.HashRefreshToken(secret), noon)
	if err := s.Register(t.Context(), u, session, token); err != nil {
		t.Fatal(err)
	}
	return session, secret
}

func repeatsRenewal(t *testing.T, s Store) {
	opened, first := secretlySignedIn(t, s)
	second, err := refresh(t.Context(), s, first, "key", noon)
	if err != nil {
		t.Fatal(err)
	}
	again, err := refresh(t.Context(), s, first, "key", noon.Add(domain.RepeatLifetime-time.Second))
	if err != nil || again != second {
		t.Errorf("the repetition gives another successor (error %v)", err)
	}
	if !kept(t, s, opened.ID()).EndedAt.IsZero() {
		t.Error("the repetition ended the session")
	}
	// A thief has the token, and does not know the key.
	_, err = refresh(t.Context(), s, first, "", noon.Add(time.Second))
	wantErr(t, "without the key", err, domain.ErrRefreshTokenReused)
	_, err = refresh(t.Context(), s, first, "key", noon.Add(time.Second))
	wantErr(t, "with the key, after the session ended", err, domain.ErrRefreshTokenReused)
	_, err = refresh(t.Context(), s, second, "key", noon.Add(time.Second))
	wantErr(t, "the successor", err, domain.ErrSessionOver)
}

func repeatsRenewalInRace(t *testing.T, s Store) {
	_, first := secretlySignedIn(t, s)
	successors := make([]string, racers)
	errs := race(func(i int) (err error) {
		successors[i], err = refresh(t.Context(), s, first, "key", noon.Add(time.Second))
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(successors); successors[0] != successors[racers-1] {
		t.Error("one refresh, sent many times, gave different successors")
	}
	if _, err := refresh(t.Context(), s, successors[0], "next key", noon.Add(2*time.Second)); err != nil {
		t.Errorf("the successor does not work: %v", err)
	}
}

func forgetsSpentSuccessor(t *testing.T, s Store) {
	_, first := secretlySignedIn(t, s)
	second, err := refresh(t.Context(), s, first, "one", noon)
	if err != nil {
		t.Fatal(err)
	}
	third, err := refresh(t.Context(), s, second, "two", noon.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := refresh(t.Context(), s, second, "two", noon.Add(2*time.Second)); err != nil || again != third {
		t.Errorf("the last refresh can't be repeated: %v", err)
	}
	_, err = refresh(t.Context(), s, first, "one", noon.Add(2*time.Second))
	wantErr(t, "the refresh before", err, domain.ErrRefreshTokenReused)
}

func forgetsOldSuccessors(t *testing.T, s Store) {
	_, first := secretlySignedIn(t, s)
	if _, err := refresh(t.Context(), s, first, "key", noon); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		before time.Time
		want   int64
	}{{noon, 0}, {noon.Add(time.Second), 1}, {noon.Add(time.Second), 0}} {
		if n, err := s.ForgetSuccessors(t.Context(), tt.before, 10); err != nil || n != tt.want {
			t.Errorf("sweep %d: %d forgotten, error %v; want %d", i, n, err, tt.want)
		}
	}
	_, err := refresh(t.Context(), s, first, "key", noon.Add(time.Second))
	wantErr(t, "the repetition", err, domain.ErrRefreshTokenReused)
}

func endsOtherSessions(t *testing.T, s Store) {
	u, current, _ := signedIn(t, s)
	other, otherToken := open(t, s, u, noon)
	before, _ := open(t, s, u, noon)
	if err := s.UpdateSession(t.Context(), before.ID(), func(session *domain.Session) error {
		session.End(domain.EndedByLogout, noon.Add(time.Second))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	end := &domain.SessionsEnd{Except: current.ID(), Reason: domain.EndedByPasswordChange, At: noon.Add(time.Minute)}
	err := s.UpdateUser(t.Context(), u.ID(), func(u *domain.User) (*domain.SessionsEnd, error) {
		u.ChangePassword(u.PasswordHash() + "+")
		return end, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !kept(t, s, current.ID()).EndedAt.IsZero() {
		t.Error("the current session ended too")
	}
	if got := kept(t, s, other.ID()); got.EndedAt != end.At || got.EndReason != end.Reason {
		t.Errorf("the other session ended at %v because of %q", got.EndedAt, got.EndReason)
	}
	if got := kept(t, s, before.ID()); got.EndReason != domain.EndedByLogout || got.EndedAt != noon.Add(time.Second) {
		t.Errorf("a session that was over ended at %v because of %q", got.EndedAt, got.EndReason)
	}
	wantErr(t, "renew", renew(t.Context(), s, otherToken, newHash(), noon.Add(time.Hour)), domain.ErrSessionOver)
	if changed, err := s.User(t.Context(), u.ID()); err != nil || changed.PasswordHash() != u.PasswordHash()+"+" {
		t.Errorf("the password is not the new one (error %v)", err)
	}
	err = s.UpdateUser(t.Context(), uuid.New(), func(*domain.User) (*domain.SessionsEnd, error) { return end, nil })
	wantErr(t, "nobody", err, domain.ErrNoUser)
}

// While sessions are renewed, all of them end: none survives, whoever was first.
func endsSessionsInRace(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	tokens := make([]domain.TokenHash, racers)
	opened := make([]*domain.Session, racers)
	for i := range racers {
		opened[i], tokens[i] = open(t, s, u, noon)
	}
	errs := race(func(i int) error {
		if i%5 == 0 {
			return s.UpdateUser(t.Context(), u.ID(), func(*domain.User) (*domain.SessionsEnd, error) {
				return &domain.SessionsEnd{Reason: domain.EndedFromElsewhere, At: noon.Add(time.Hour)}, nil
			})
		}
		if err := renew(t.Context(), s, tokens[i], newHash(), noon.Add(time.Hour)); !errors.Is(err, domain.ErrSessionOver) {
			return err
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range opened {
		if kept(t, s, opened[i].ID()).EndedAt.IsZero() {
			t.Errorf("session %d lives", i)
		}
	}
}

func opensNoSessionAfterChange(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	err := s.UpdateUser(t.Context(), u.ID(), func(u *domain.User) (*domain.SessionsEnd, error) {
		u.ChangePassword("$argon2id$new")
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.OpenSession(t.Context(), u.ID(), func(now *domain.User) (*domain.Session, domain.RefreshToken, error) {
		if now.PasswordHash() != u.PasswordHash() {
			return nil, domain.RefreshToken{}, domain.ErrInvalidCredentials
		}
		return nil, domain.RefreshToken{}, errors.New("the user is shown with the old password")
	})
	wantErr(t, "open", err, domain.ErrInvalidCredentials)
}

// A password changes while sign-ins with the old one are under way: either a sign-in sees the new one and is refused, or its
// session ends with the others.
func endsSessionsOpenedInRace(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	old := u.PasswordHash()
	sessions := make([]*domain.Session, racers)
	errs := race(func(i int) error {
		if i == racers/2 {
			return s.UpdateUser(t.Context(), u.ID(), func(u *domain.User) (*domain.SessionsEnd, error) {
				u.ChangePassword(old + "+")
				return &domain.SessionsEnd{Reason: domain.EndedByPasswordChange, At: noon.Add(time.Minute)}, nil
			})
		}
		err := s.OpenSession(t.Context(), u.ID(), func(u *domain.User) (*domain.Session, domain.RefreshToken, error) {
			if u.PasswordHash() != old {
				return nil, domain.RefreshToken{}, domain.ErrInvalidCredentials
			}
			opened, token, err := domain.OpenSession(u, phone, newHash(), noon)
			sessions[i] = opened
			return opened, token, err
		})
		if errors.Is(err, domain.ErrInvalidCredentials) {
			return nil
		}
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, opened := range sessions {
		if opened != nil && kept(t, s, opened.ID()).EndedAt.IsZero() {
			t.Errorf("session %d survived the change of the password", i)
		}
	}
	if n, err := s.CountSessions(t.Context(), usecase.LivingSessions{UserID: u.ID(), At: noon}); err != nil || n != 0 {
		t.Error(fmt.Errorf("%d sessions live, want none: %w", n, err))
	}
}
