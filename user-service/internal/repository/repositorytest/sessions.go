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
	"ends the least recently used of too many":    endsLeastRecentlyUsed,
	"keeps no more sessions in a race":            keepsFewSessionsInRace,
	"counts the tokens that were spent":           countsSpentTokens,
	"tells of changes in parts":                   tellsInParts,
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
		u.SetPassword(u.PasswordHash() + "+")
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
		u.SetPassword("$argon2id$new")
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
				u.SetPassword(old + "+")
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

func endsLeastRecentlyUsed(t *testing.T, s Store) {
	u, first, firstToken := signedIn(t, s)
	var opened []*domain.Session
	for i := range domain.MaxSessions - 1 {
		session, _ := open(t, s, u, noon.Add(time.Duration(i+1)*time.Minute))
		opened = append(opened, session)
	}
	stranger := newUser(t, "bob@example.com", domain.Customer)
	if err := s.CreateUser(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	theirs, _ := open(t, s, stranger, noon.Add(-time.Hour))
	at := noon.Add(24 * time.Hour)
	if err := renew(t.Context(), s, firstToken, newHash(), at); err != nil {
		t.Fatal(err)
	}
	last, _ := open(t, s, u, noon.Add(-time.Hour)) // by a clock that is behind
	over := opened[0].Snapshot()
	over.EndedAt, over.EndReason = last.OpenedAt(), domain.EndedByLimit
	if diff := cmp.Diff(over, kept(t, s, over.ID)); diff != "" {
		t.Errorf("the least recently used session (-want +got):\n%s", diff)
	}
	for _, id := range []uuid.UUID{first.ID(), opened[1].ID(), last.ID(), theirs.ID()} {
		if !kept(t, s, id).EndedAt.IsZero() {
			t.Errorf("session %v ended too", id)
		}
	}
	if n, err := s.CountSessions(t.Context(), usecase.LivingSessions{UserID: u.ID(), At: at}); err != nil || n != domain.MaxSessions {
		t.Errorf("%d sessions live, error %v; want %d", n, err, domain.MaxSessions)
	}
}

// Sign-ins, sign-outs and renewals at once: there are never too many, and nobody waits for each other in a circle.
func keepsFewSessionsInRace(t *testing.T, s Store) {
	u, first, token := signedIn(t, s)
	for range domain.MaxSessions - 1 {
		open(t, s, u, noon)
	}
	errs := race(func(i int) error {
		var err error
		switch i % 4 {
		case 0:
			err = s.UpdateSession(t.Context(), first.ID(), func(session *domain.Session) error {
				session.End(domain.EndedByLogout, noon)
				return nil
			})
		case 1:
			err = renew(t.Context(), s, token, newHash(), noon)
		default:
			err = s.OpenSession(t.Context(), u.ID(), func(u *domain.User) (*domain.Session, domain.RefreshToken, error) {
				return domain.OpenSession(u, phone, newHash(), noon)
			})
		}
		if errors.Is(err, domain.ErrSessionOver) || errors.Is(err, domain.ErrRefreshTokenReused) {
			return nil
		}
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	n, err := s.CountSessions(t.Context(), usecase.LivingSessions{UserID: u.ID(), At: noon})
	if err != nil || n > domain.MaxSessions || n < domain.MaxSessions-1 {
		t.Errorf("%d sessions live, error %v; want %d", n, err, domain.MaxSessions)
	}
}

func countsSpentTokens(t *testing.T, s Store) {
	u, _, token := signedIn(t, s)
	open(t, s, u, noon)
	for i := range 5 {
		next := newHash()
		err := s.RenewSession(t.Context(), token, func(r *domain.Renewal) error {
			if r.Spent != i {
				t.Errorf("renewal %d: %d tokens were spent", i, r.Spent)
			}
			return r.Renew(next, phone, noon)
		})
		if err != nil {
			t.Fatal(err)
		}
		token = next
	}
}

// What changed together is told together, so who asks again from behind it misses nothing.
func tellsInParts(t *testing.T, s Store) {
	u, first, _ := signedIn(t, s)
	end := func(session *domain.Session, at time.Time) {
		t.Helper()
		if err := s.UpdateSession(t.Context(), session.ID(), func(session *domain.Session) error {
			session.End(domain.EndedByLogout, at)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	end(first, noon.Add(3*time.Second))
	for i := range 4 { // one after a second, three after two
		session, _ := open(t, s, u, noon)
		end(session, noon.Add(time.Duration(1+min(i, 1))*time.Second))
	}
	for i, admin := range admins(t, s, 5)[:4] {
		if err := setAccess(t, s, admin.ID(), domain.Staff, domain.Active, noon.Add(time.Duration(1+min(i, 1))*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		after, limit    int
		sessions, users []int // when, in seconds
	}{
		{0, 1, []int{1}, []int{1}},
		{0, 2, []int{1, 2, 2, 2}, []int{1, 2, 2, 2}},
		{0, 10, []int{1, 2, 2, 2, 3}, []int{1, 2, 2, 2}},
		{2, 1, []int{2, 2, 2}, []int{2, 2, 2}},
		{3, 1, []int{3}, nil},
	} {
		since := noon.Add(time.Duration(tt.after) * time.Second)
		ended, err := s.SessionsEndedSince(t.Context(), since, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := s.UsersChangedSince(t.Context(), since, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		var sessions, users []int
		for _, e := range ended {
			sessions = append(sessions, int(e.At.Sub(noon).Seconds()))
		}
		for _, c := range changed {
			users = append(users, int(c.At.Sub(noon).Seconds()))
		}
		if !slices.Equal(sessions, tt.sessions) || !slices.Equal(users, tt.users) {
			t.Errorf("%d from %d s on: sessions of %v, users of %v; want %v, %v", tt.limit, tt.after, sessions, users, tt.sessions, tt.users)
		}
	}
}
