package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/apperr"
	"shop.example/platform/pgtest"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/postgres"
)

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/nothing?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, err = postgres.New(pool).Product(t.Context(), domain.Ref{ID: uuid.New()})
	if apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("got %v", err)
	}
}

// TestConnectionsCut is a database that goes away under open connections, as in a failover, and comes back.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t, postgres.Migrate)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store := postgres.New(pool)
	if _, err := store.Categories(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()
	if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Categories(t.Context()); err != nil && apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("got %v", err)
	}
	if _, err := store.Categories(t.Context()); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestCallersTimeIsUp(t *testing.T) {
	t.Parallel()
	store := postgres.New(pgtest.New(t, postgres.Migrate))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Categories(ctx)
	if !errors.Is(err, context.Canceled) || apperr.KindOf(err) != apperr.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}
