package memory_test

import (
	"testing"

	"shop.example/product-service/internal/repository/memory"
	"shop.example/product-service/internal/repository/repositorytest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, func(testing.TB) repositorytest.Store { return memory.New() })
}
