package postgres_test

import (
	"testing"

	"shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/repository/repositorytest"
	"shop.example/platform/pgtest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, func(t *testing.T) repositorytest.Store {
		store, err := postgres.New(pgtest.New(t, postgres.Migrate))
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}
