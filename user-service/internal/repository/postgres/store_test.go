package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/apperr"
	"shop.example/platform/pgtest"
	platformpostgres "shop.example/platform/postgres"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/repository/postgres"
	"shop.example/user-service/internal/repository/repositorytest"
	"shop.example/user-service/internal/usecase"
)

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, func(t *testing.T) repositorytest.Store { return postgres.New(pgtest.New(t, postgres.Migrate)) })
}

// The database keeps no refresh token, only its hash: whoever reads a backup can't sign in with it.
func TestNoSecretsAtRest(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	secret := domain.NewRefreshSecret()
	email, err := domain.ParseEmail("ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	user, err := domain.NewUser(email, "Ann", domain.Customer, "$argon2id$x", now)
	if err != nil {
		t.Fatal(err)
	}
	session, token, err := domain.OpenSession(user, domain.Device{}, domain.HashRefreshToken(secret), now)
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.New(pool).Register(t.Context(), user, session, token); err != nil {
		t.Fatal(err)
	}
	// The client repeats its refresh: the successor is kept for it, and for nobody who reads the database.
	successor := domain.NewRefreshSecret()
	err = postgres.New(pool).RenewSession(t.Context(), domain.HashRefreshToken(secret), func(r *domain.Renewal) error {
		err := r.Renew(domain.HashRefreshToken(successor), domain.Device{}, now)
		if err == nil {
			r.Presented.Successor, err = domain.SealSuccessor(successor, secret, "key-of-the-client")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	guess := domain.LoginMeters(domain.AddressKey("nobody@example.com"), domain.Device{})
	if _, err := postgres.New(pool).ChargeMeters(t.Context(), guess.All(), now); err != nil {
		t.Fatal(err)
	}
	dump := everything(t, pool)
	if !strings.Contains(dump, `"successor":"\\x`) {
		t.Fatalf("no successor is kept: %s", dump)
	}
	for _, leak := range []string{secret, successor, fmt.Sprintf("%x", secret), fmt.Sprintf("%x", successor), "key-of-the-client", "nobody@"} {
		if strings.Contains(dump, leak) {
			t.Errorf("%q stands in the database", leak)
		}
	}
}

// A user who was deleted leaves an id and a time, and nothing else.
func TestDeletionErases(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	store := postgres.New(pool)
	email, err := domain.ParseEmail("ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	user, err := domain.NewUser(email, "Ann", domain.Customer, "$argon2id$x", now)
	if err != nil {
		t.Fatal(err)
	}
	device := domain.NewDevice("Phone/1.0", "192.0.2.7")
	session, token, err := domain.OpenSession(user, device, domain.TokenHash{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Register(t.Context(), user, session, token); err != nil {
		t.Fatal(err)
	}
	if err := store.RecordSignIn(t.Context(), domain.LoginMeters(domain.UserKey(user.ID()), device).Pair, nil, now, now); err != nil {
		t.Fatal(err)
	}
	if err := store.UpdateAddressBook(t.Context(), user.ID(), func(b *domain.AddressBook) error {
		_, err := b.Add(domain.AddressText{Recipient: "Ann", Line1: "Hauptstr. 1", City: "Berlin", PostalCode: "10115", Country: "DE"}, false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	err = store.DeleteUser(t.Context(), user.ID(), func(*domain.User, domain.Admins) (time.Time, error) { return now, nil })
	if err != nil {
		t.Fatal(err)
	}
	want := `[]` + `[]` + `[]` + `[]` + `[]` + `[{"id":"` + user.ID().String() + `","deleted_at":"2026-03-01T12:00:00+00:00"}]`
	if got := everything(t, pool); got != want {
		t.Errorf("what is left is %s, want %s", got, want)
	}
}

// What commits after its own time is told of: whoever asked in between asks from far enough back.
func TestChangesThatCommitLate(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	store := postgres.New(pool)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sessions := usecase.NewSessions(store, store, nil, usecase.LiftedThrottle(), nil, slog.New(slog.DiscardHandler), func() time.Time { return now })
	email, err := domain.ParseEmail("ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	user, err := domain.NewUser(email, "Ann", domain.Customer, "$argon2id$x", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	var next time.Time
	err = store.UpdateAccess(t.Context(), user.ID(), func(u *domain.User, admins domain.Admins) (*domain.SessionsEnd, error) {
		if err := u.SetAccess(domain.Staff, domain.Active, admins.Beside(u.ID()), now); err != nil {
			return nil, err
		}
		// Before it commits, ten seconds pass in which others look: they see nothing yet.
		now = now.Add(10 * time.Second)
		changes, err := sessions.Changes(t.Context(), now.Add(-time.Minute))
		if err != nil || len(changes.Users) != 0 {
			t.Errorf("changes %+v, error %v; want none before the commit", changes, err)
		}
		next = changes.Next
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := sessions.Changes(t.Context(), next)
	if role := changes.Users[user.ID().String()]; err != nil || role != "staff" {
		t.Errorf("changes %+v, error %v; want the new role", changes, err)
	}
}

// A deletion that commits after its own time, behind one that was answered already, is answered yet.
func TestDeletionThatCommitsLate(t *testing.T) {
	t.Parallel()
	store := postgres.New(pgtest.New(t, postgres.Migrate))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	deletions := usecase.NewDeletions(store, func() time.Time { return now })
	var ids []uuid.UUID
	for _, name := range []string{"early", "late"} {
		email, err := domain.ParseEmail(name + "@example.com")
		if err != nil {
			t.Fatal(err)
		}
		user, err := domain.NewUser(email, name, domain.Customer, "$argon2id$x", now)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.CreateUser(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, user.ID())
	}
	var cursor string
	err := store.DeleteUser(t.Context(), ids[1], func(*domain.User, domain.Admins) (time.Time, error) {
		at := now
		// Before it commits, ten seconds pass, in which another user is deleted and answered.
		now = now.Add(10 * time.Second)
		if err := store.DeleteUser(t.Context(), ids[0], func(*domain.User, domain.Admins) (time.Time, error) { return now, nil }); err != nil {
			return time.Time{}, err
		}
		seen, next, err := deletions.After(t.Context(), "", 10)
		if err != nil || len(seen) != 1 || seen[0] != ids[0] {
			t.Errorf("deleted %v, error %v; want one before the commit", seen, err)
		}
		cursor = next
		return at, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen, _, err := deletions.After(t.Context(), cursor, 10); err != nil || len(seen) != 2 || seen[0] != ids[1] {
		t.Errorf("deleted %v, error %v; want the late one and the other again", seen, err)
	}
}

// A database that is away is told apart from a fault of ours, whatever is being done.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	nowhere, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none") // nobody listens on port 1
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nowhere.Close)
	s := postgres.New(nowhere)
	email, err := domain.ParseEmail("ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	_, byID := s.User(t.Context(), uuid.New())
	_, byEmail := s.UserByEmail(t.Context(), email)
	_, search := s.Users(t.Context(), usecase.UserFilter{Text: "ann"}, uuid.Nil, 1)
	_, throttle := s.ReadMeters(t.Context(), domain.LoginMeters(domain.AddressKey("ann@example.com"), domain.Device{}).All())
	_, sweep := s.DeleteTokensSpentBefore(t.Context(), time.Now(), 1)
	for name, err := range map[string]error{
		"search": search, "throttle": throttle,
		"user": byID, "by e-mail": byEmail, "sweep": sweep,
		"update": s.UpdateSession(t.Context(), uuid.New(), func(*domain.Session) error { return nil }),
	} {
		if got := apperr.KindOf(err); got != apperr.Unavailable {
			t.Errorf("%s: kind %v (error %v), want %v", name, got, err, apperr.Unavailable)
		}
	}
}

// The same for a connection that the server ends while it is idle, as it does when it is restarted.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t, postgres.Migrate)
	pool, err := platformpostgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	other, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close(context.Background()) })
	s := postgres.New(pool)
	if _, err := s.User(t.Context(), uuid.New()); !errors.Is(err, domain.ErrNoUser) {
		t.Fatal(err)
	}
	_, err = other.Exec(t.Context(), `
		SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	// Every connection of the pool is broken; after at most that many failures it has new ones.
	for range pool.Config().MaxConns + 1 {
		_, err = s.User(t.Context(), uuid.New())
		if errors.Is(err, domain.ErrNoUser) {
			return
		}
		if got := apperr.KindOf(err); got != apperr.Unavailable {
			t.Errorf("kind %v (error %v), want %v", got, err, apperr.Unavailable)
		}
	}
	t.Errorf("the store does not recover: %v", err)
}

func everything(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"users", "sessions", "refresh_tokens", "addresses", "login_throttle", "deleted_users"} {
		var rows string
		if err := pool.QueryRow(t.Context(), "SELECT coalesce(json_agg(x), '[]')::text FROM "+table+" x").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		all.WriteString(rows)
	}
	return all.String()
}

// The schema refuses what the domain would never write, whoever writes it.
func TestConstraints(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	insert := func(email, name, role, status, hash string) error {
		_, err := pool.Exec(t.Context(), `
			INSERT INTO users (id, email, name, role, status, password_hash, created_at, updated_at)
			VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, now(), now())`, email, name, role, status, hash)
		return err
	}
	const hash = "$argon2id$x"
	tests := map[string]error{
		"users_email_normalised": insert("Ann@example.com", "Ann", "customer", "active", hash),
		"users_name_length":      insert("a@example.com", "", "customer", "active", hash),
		"users_role_known":       insert("b@example.com", "Ann", "root", "active", hash),
		"users_status_known":     insert("c@example.com", "Ann", "customer", "gone", hash),
		"users_password_hashed":  insert("d@example.com", "Ann", "customer", "active", "hunter2hunter2"),
	}
	for want, err := range tests {
		if got, ok := platformpostgres.ViolatedConstraint(err); !ok || got != want {
			t.Errorf("violated %q (error %v), want %q", got, err, want)
		}
	}
}

// statements counts what is sent to the database, by a word in it.
type statements struct {
	word string
	n    int
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, s.word) {
		s.n++
	}
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Whether an address is free is asked only for another one.
func TestAddressIsLookedForWhenItChanges(t *testing.T) {
	t.Parallel()
	looks := &statements{word: "SELECT EXISTS (SELECT 1 FROM users"}
	config := pgtest.New(t, postgres.Migrate).Config()
	config.ConnConfig.Tracer = looks
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store := postgres.New(pool)
	email, err := domain.ParseEmail("ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	another, err := domain.ParseEmail("other@example.com")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	user, err := domain.NewUser(email, "Ann", domain.Customer, "$argon2id$x", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(*domain.User){
		func(u *domain.User) { u.SetPassword("$argon2id$y") },
		func(u *domain.User) { u.UpdateProfile("Ann Other", email, now) },
		func(u *domain.User) { u.UpdateProfile("Ann Other", another, now) },
	} {
		err := store.UpdateUser(t.Context(), user.ID(), func(u *domain.User) (*domain.SessionsEnd, error) {
			change(u)
			return nil, nil
		})
		if want := i / 2; err != nil || looks.n != want {
			t.Errorf("change %d: looked %d times, error %v; want %d", i, looks.n, err, want)
		}
	}
}
