package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/pgtest"
	platformpostgres "shop.example/platform/postgres"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/repository/postgres"
	"shop.example/user-service/internal/usecase"
)

// manyUsers fills the table with people whose addresses and names begin alike and end in their number. Ids count up, as those
// of time do.
func manyUsers(t testing.TB, pool *pgxpool.Pool, n int) {
	t.Helper()
	err := platformpostgres.InTxDo(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		// The index of trigrams is made again at the end, which is much faster than to keep it up.
		var index string
		if err := tx.QueryRow(t.Context(), `SELECT pg_get_indexdef('users_search'::regclass)`).Scan(&index); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `DROP INDEX users_search`); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `
			INSERT INTO users (id, email, name, role, status, password_hash, created_at, updated_at)
			SELECT lpad(to_hex(n), 32, '0')::uuid, substr(md5(n::text), 1, 10) || n || '@example.com', 'Person ' || md5(n::text),
				CASE WHEN n % 5000 = 0 THEN 'admin' ELSE 'customer' END, 'active', '$argon2id$x', now(), now()
			FROM generate_series(1, $1) n`, n)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), index); err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `ANALYZE users`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Searches read what they find and not the table: rare parts by the index of trigrams, all else from the newest user on.
func TestSearchUsesIndexes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	const n = 50_000
	manyUsers(t, pool, n)
	plan := func(where string) string {
		t.Helper()
		rows, err := pool.Query(t.Context(), `EXPLAIN SELECT id, email, name FROM users WHERE `+where+` ORDER BY id DESC LIMIT 21`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
		}
		return plan.String()
	}
	for where, index := range map[string]string{
		`(email ILIKE '%12345@%' OR name ILIKE '%12345@%')`:   "users_search",
		`(email ILIKE '%827ccb%' OR name ILIKE '%827ccb%')`:   "users_search",
		`(email ILIKE '%example%' OR name ILIKE '%example%')`: "users_pkey",
		`true`:                "users_pkey",
		`role = 'admin'`:      "users_by_role",
		`status = 'disabled'`: "users_by_status",
	} {
		if got := plan(where); !strings.Contains(got, index) || strings.Contains(got, "Seq Scan") {
			t.Errorf("%s does not use %s:\n%s", where, index, got)
		}
	}
	found, err := postgres.New(pool).Users(t.Context(), usecase.UserFilter{Text: "1234@EXAMPLE", Role: domain.Customer}, uuid.Nil, 100)
	if err != nil || len(found) != 5 || !strings.HasSuffix(found[0].Email().String(), "41234@example.com") {
		t.Errorf("%d users found, error %v; want 5, the newest first", len(found), err)
	}
}

// With a million users. The two letters that nobody has are the worst case: no trigram to look up, and no match to stop at.
func BenchmarkSearch(b *testing.B) {
	pool := pgtest.New(b, postgres.Migrate)
	manyUsers(b, pool, 1_000_000)
	s := postgres.New(pool)
	for _, text := range []string{"", "777777@", "c4ca4238a0", "c4ca42", "Person", "zq", "nobody at all"} {
		b.Run(fmt.Sprintf("%q", text), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Users(b.Context(), usecase.UserFilter{Text: text}, uuid.Nil, 21); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
