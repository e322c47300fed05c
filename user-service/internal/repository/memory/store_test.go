package memory_test

import (
	"testing"

	"shop.example/user-service/internal/repository/memory"
	"shop.example/user-service/internal/repository/repositorytest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, func(*testing.T) repositorytest.Store { return memory.New() })
}
