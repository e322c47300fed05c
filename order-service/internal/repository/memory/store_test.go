package memory_test

import (
	"testing"
	"time"

	"shop.example/order-service/internal/repository/memory"
	"shop.example/order-service/internal/repository/repositorytest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, func(*testing.T) repositorytest.Store { return memory.New(time.Now) })
}
