package memory

import (
	"context"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

// UpdateAddressBook lets update change a user's book, and keeps the result, unless update returns an error. Error:
// domain.ErrNoUser.
func (s *Store) UpdateAddressBook(_ context.Context, userID uuid.UUID, update func(*domain.AddressBook) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.users[userID]; !ok {
		return domain.ErrNoUser
	}
	book := domain.RestoreAddressBook(userID, s.addresses[userID])
	if err := update(book); err != nil {
		return err
	}
	s.addresses[userID] = book.Snapshot()
	return nil
}

// Address returns an address of a user. Error: domain.ErrNoAddress, also for one of somebody else.
func (s *Store) Address(_ context.Context, userID, id uuid.UUID) (*domain.Address, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.addresses[userID] {
		if a.ID == id {
			return domain.RestoreAddress(a), nil
		}
	}
	return nil, domain.ErrNoAddress
}

// ListAddresses returns up to limit addresses of a user by their ids, behind the id after unless that is zero.
func (s *Store) ListAddresses(_ context.Context, userID, after uuid.UUID, limit int) ([]*domain.Address, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*domain.Address
	for _, a := range s.addresses[userID] { // in the order of adding, which is that of ids
		if a.ID.String() > after.String() && len(found) < limit {
			found = append(found, domain.RestoreAddress(a))
		}
	}
	return found, nil
}

// CountAddresses returns how many a user has.
func (s *Store) CountAddresses(_ context.Context, userID uuid.UUID) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.addresses[userID])), nil
}
