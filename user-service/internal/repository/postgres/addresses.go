package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/platform/postgres"

	"shop.example/user-service/internal/domain"
)

type addressRow struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	Label      string
	Recipient  string
	Line1      string `db:"line1"`
	Line2      string `db:"line2"`
	City       string
	Region     string
	PostalCode string
	Country    string
	Phone      string
	IsDefault  bool
}

// fromAddresses is the front of all queries for addresses. Each goes on with the user: nobody sees another's.
const fromAddresses = `
	SELECT id, user_id, label, recipient, line1, line2, city, region, postal_code, country, phone, is_default
	FROM addresses WHERE user_id = $1 `

// Address returns an address of a user. Error: domain.ErrNoAddress, also for one of somebody else.
func (s *Store) Address(ctx context.Context, userID, id uuid.UUID) (*domain.Address, error) {
	found, err := selectAddresses(ctx, s.pool, fromAddresses+"AND id = $2", userID, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, domain.ErrNoAddress
	}
	return domain.RestoreAddress(found[0]), nil
}

// ListAddresses returns up to limit addresses of a user by their ids, behind the id after unless that is zero.
func (s *Store) ListAddresses(ctx context.Context, userID, after uuid.UUID, limit int) ([]*domain.Address, error) {
	found, err := selectAddresses(ctx, s.pool, fromAddresses+"AND id > $2 ORDER BY id LIMIT $3", userID, after, limit)
	if err != nil {
		return nil, err
	}
	addresses := make([]*domain.Address, len(found))
	for i, snapshot := range found {
		addresses[i] = domain.RestoreAddress(snapshot)
	}
	return addresses, nil
}

// CountAddresses returns how many a user has.
func (s *Store) CountAddresses(ctx context.Context, userID uuid.UUID) (int64, error) {
	var n int64
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM addresses WHERE user_id = $1`, userID).Scan(&n); err != nil {
		return 0, fmt.Errorf("count addresses: %w", err)
	}
	return n, nil
}

// UpdateAddressBook locks the user, lets update change the user's book, and keeps the result, unless update returns an
// error. Error: domain.ErrNoUser.
//
// The user's lock stands for one on the book, of which there may be nothing yet to lock: who holds it is the only one to
// count the addresses and to say which is the default one.
func (s *Store) UpdateAddressBook(ctx context.Context, userID uuid.UUID, update func(*domain.AddressBook) error) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := selectUser(ctx, tx, fromUsers+"WHERE id = $1 FOR NO KEY UPDATE", userID); err != nil {
			return err
		}
		before, err := selectAddresses(ctx, tx, fromAddresses+"ORDER BY id", userID)
		if err != nil {
			return err
		}
		book := domain.RestoreAddressBook(userID, before)
		if err := update(book); err != nil {
			return err
		}
		return replaceAddresses(ctx, tx, before, book.Snapshot())
	})
}

func selectAddresses(ctx context.Context, q querier, query string, args ...any) ([]domain.AddressSnapshot, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[addressRow])
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	snapshots := make([]domain.AddressSnapshot, len(found))
	for i, row := range found {
		snapshots[i] = domain.AddressSnapshot{
			ID: row.ID, UserID: row.UserID, IsDefault: row.IsDefault,
			AddressText: domain.AddressText{
				Label: row.Label, Recipient: row.Recipient, Line1: row.Line1, Line2: row.Line2, City: row.City, Region: row.Region,
				PostalCode: row.PostalCode, Country: row.Country, Phone: row.Phone,
			},
		}
	}
	return snapshots, nil
}

// replaceAddresses writes what has changed of a book. What stops being the default one goes before what becomes it: there
// are never two.
func replaceAddresses(ctx context.Context, tx pgx.Tx, before, after []domain.AddressSnapshot) error {
	kept := make(map[uuid.UUID]domain.AddressSnapshot, len(before))
	for _, a := range before {
		kept[a.ID] = a
		if !slices.ContainsFunc(after, func(b domain.AddressSnapshot) bool { return b.ID == a.ID }) {
			if err := deleteAddress(ctx, tx, a); err != nil {
				return err
			}
		}
	}
	for _, isDefault := range []bool{false, true} {
		for _, a := range after {
			old, exists := kept[a.ID]
			if a.IsDefault != isDefault || a == old {
				continue
			}
			write := insertAddress
			if exists {
				write = updateAddress
			}
			if err := write(ctx, tx, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func insertAddress(ctx context.Context, q querier, a domain.AddressSnapshot) error {
	_, err := q.Exec(ctx, `
		INSERT INTO addresses (id, user_id, label, recipient, line1, line2, city, region, postal_code, country, phone, is_default)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		a.ID, a.UserID, a.Label, a.Recipient, a.Line1, a.Line2, a.City, a.Region, a.PostalCode, a.Country, a.Phone, a.IsDefault)
	if err != nil {
		return fmt.Errorf("insert address: %w", err)
	}
	return nil
}

func updateAddress(ctx context.Context, q querier, a domain.AddressSnapshot) error {
	tag, err := q.Exec(ctx, `
		UPDATE addresses SET label = $3, recipient = $4, line1 = $5, line2 = $6, city = $7, region = $8, postal_code = $9,
			country = $10, phone = $11, is_default = $12
		WHERE user_id = $1 AND id = $2`,
		a.UserID, a.ID, a.Label, a.Recipient, a.Line1, a.Line2, a.City, a.Region, a.PostalCode, a.Country, a.Phone, a.IsDefault)
	if err != nil {
		return fmt.Errorf("update address: %w", err)
	}
	return affectedOne("update address", tag.RowsAffected())
}

func deleteAddress(ctx context.Context, q querier, a domain.AddressSnapshot) error {
	tag, err := q.Exec(ctx, `DELETE FROM addresses WHERE user_id = $1 AND id = $2`, a.UserID, a.ID)
	if err != nil {
		return fmt.Errorf("delete address: %w", err)
	}
	return affectedOne("delete address", tag.RowsAffected())
}
