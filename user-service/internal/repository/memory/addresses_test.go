package memory_test

import (
	"testing"

	"shop.example/user-service/internal/repository/memory"
	"shop.example/user-service/internal/repository/repositorytest"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	repositorytest.RunAddresses(t, func(*testing.T) repositorytest.AddressStore { return memory.New() })
}
