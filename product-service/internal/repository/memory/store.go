// Package memory keeps the catalogue and the stock in memory, by the same contract as the database. It serves tests.
package memory

import (
	"sync"

	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Store is the whole of it under one lock.
type Store struct {
	mu           sync.Mutex
	products     map[uuid.UUID]usecase.ProductView
	categories   map[uuid.UUID]domain.Category
	reservations map[uuid.UUID]domain.ReservationSnapshot
	restocks     map[uuid.UUID][]domain.Restock // by order
	ledger       []domain.LedgerEntry
	refused      []domain.LedgerEntry // adjustments under keys, as they would stand in the ledger
	words        map[string]bool      // that products have, or had
}

// New returns an empty store.
func New() *Store {
	return &Store{
		products:     make(map[uuid.UUID]usecase.ProductView),
		categories:   make(map[uuid.UUID]domain.Category),
		reservations: make(map[uuid.UUID]domain.ReservationSnapshot),
		restocks:     make(map[uuid.UUID][]domain.Restock),
		words:        make(map[string]bool),
	}
}
