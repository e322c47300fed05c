package usecase

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

// AddressStore is the store as address books need it. Each method sees the addresses of the one user that it names.
type AddressStore interface {
	// UpdateAddressBook lets update change a user's book, which nobody else can change meanwhile, and keeps the result, unless
	// update returns an error. Error: domain.ErrNoUser.
	UpdateAddressBook(ctx context.Context, userID uuid.UUID, update func(*domain.AddressBook) error) error
	// Address returns an address of a user. Error: domain.ErrNoAddress, also for one of somebody else.
	Address(ctx context.Context, userID, id uuid.UUID) (*domain.Address, error)
	// ListAddresses returns up to limit addresses of a user by their ids, behind the id after unless that is zero.
	ListAddresses(ctx context.Context, userID, after uuid.UUID, limit int) ([]*domain.Address, error)
	// CountAddresses returns how many a user has.
	CountAddresses(ctx context.Context, userID uuid.UUID) (int64, error)
}

// Addresses keeps the address books. Everybody works in the own one: there is no way to another's.
type Addresses struct{ store AddressStore }

// NewAddresses returns the use cases.
func NewAddresses(store AddressStore) *Addresses { return &Addresses{store} }

// List returns a page of the caller's addresses, the oldest first.
func (a *Addresses) List(ctx context.Context, p Page) (PageOf[*domain.Address], error) {
	owner, _, err := signedIn(ctx)
	if err != nil {
		return PageOf[*domain.Address]{}, err
	}
	page, err := list[*domain.Address, uuid.UUID]{
		query: []string{"addresses", owner.String()},
		read: func(ctx context.Context, after uuid.UUID, limit int) ([]*domain.Address, error) {
			return a.store.ListAddresses(ctx, owner, after, limit)
		},
		count: func(ctx context.Context) (int64, error) { return a.store.CountAddresses(ctx, owner) },
		place: (*domain.Address).ID,
	}.page(ctx, p)
	if err != nil {
		return PageOf[*domain.Address]{}, fmt.Errorf("list addresses: %w", err)
	}
	return page, nil
}

// Get returns an address of the caller's. Error: domain.ErrNoAddress.
func (a *Addresses) Get(ctx context.Context, id uuid.UUID) (*domain.Address, error) {
	owner, _, err := signedIn(ctx)
	if err != nil {
		return nil, err
	}
	return a.store.Address(ctx, owner, id)
}

// Create adds an address to the caller's book. Errors: invalid, naming every part that is wrong; domain.ErrAddressLimit.
func (a *Addresses) Create(ctx context.Context, text domain.AddressText, isDefault bool) (*domain.Address, error) {
	return a.update(ctx, func(b *domain.AddressBook) (*domain.Address, error) { return b.Add(text, isDefault) })
}

// Update changes an address of the caller's. Errors: domain.ErrNoAddress; invalid, naming every part that is wrong.
func (a *Addresses) Update(ctx context.Context, id uuid.UUID, change domain.AddressChange) (*domain.Address, error) {
	return a.update(ctx, func(b *domain.AddressBook) (*domain.Address, error) { return b.Change(id, change) })
}

// Delete removes an address of the caller's. Error: domain.ErrNoAddress.
func (a *Addresses) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := a.update(ctx, func(b *domain.AddressBook) (*domain.Address, error) { return nil, b.Remove(id) })
	return err
}

// update changes the caller's book, and returns the address that it was about.
func (a *Addresses) update(ctx context.Context, change func(*domain.AddressBook) (*domain.Address, error)) (*domain.Address, error) {
	owner, _, err := signedIn(ctx)
	if err != nil {
		return nil, err
	}
	var (
		changed *domain.Address
		refused error
	)
	err = a.store.UpdateAddressBook(ctx, owner, func(b *domain.AddressBook) error {
		changed, refused = change(b)
		return refused
	})
	switch {
	case refused != nil: // apart from the store's errors: an address that is not there is no user who is gone
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("change the address book: %w", gone(err))
	}
	return changed, nil
}
