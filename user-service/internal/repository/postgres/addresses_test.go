package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/pgtest"
	platformpostgres "shop.example/platform/postgres"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/repository/postgres"
	"shop.example/user-service/internal/repository/repositorytest"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	repositorytest.RunAddresses(t, func(t *testing.T) repositorytest.AddressStore { return postgres.New(pgtest.New(t, postgres.Migrate)) })
}

// keepOwner keeps a user to whom addresses may belong.
func keepOwner(t *testing.T, pool *pgxpool.Pool) uuid.UUID {
	t.Helper()
	email, err := domain.ParseEmail("ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	user, err := domain.NewUser(email, "Ann", domain.Customer, "$argon2id$x", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.New(pool).CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	return user.ID()
}

// The schema refuses what the domain would never write, whoever writes it.
func TestAddressConstraints(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	user := keepOwner(t, pool)
	insert := func(change func(map[string]any)) error {
		columns := map[string]any{
			"user_id": user, "label": "", "recipient": "Ann", "line1": "1 Main St", "line2": "", "city": "Bonn", "region": "",
			"postal_code": "", "country": "DE", "phone": "", "is_default": false,
		}
		change(columns)
		_, err := pool.Exec(t.Context(), `
			INSERT INTO addresses (id, user_id, label, recipient, line1, line2, city, region, postal_code, country, phone, is_default)
			VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			columns["user_id"], columns["label"], columns["recipient"], columns["line1"], columns["line2"], columns["city"],
			columns["region"], columns["postal_code"], columns["country"], columns["phone"], columns["is_default"])
		return err
	}
	long := func(column string, n int) func(map[string]any) {
		return func(c map[string]any) { c[column] = strings.Repeat("1", n) }
	}
	isDefault := func(c map[string]any) { c["is_default"] = true }
	for range 2 { // any number of others
		if err := insert(func(map[string]any) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := insert(isDefault); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(map[string]any){
		"addresses_one_default":        isDefault,
		"addresses_user_fkey":          func(c map[string]any) { c["user_id"] = uuid.New() },
		"addresses_label_length":       long("label", 101),
		"addresses_recipient_length":   long("recipient", 0),
		"addresses_line1_length":       long("line1", 201),
		"addresses_line2_length":       long("line2", 201),
		"addresses_city_length":        long("city", 0),
		"addresses_region_length":      long("region", 101),
		"addresses_postal_code_length": long("postal_code", 21),
		"addresses_country_form":       func(c map[string]any) { c["country"] = "de" },
		"addresses_phone_form":         func(c map[string]any) { c["phone"] = "call me" },
	} {
		err := insert(change)
		if got, ok := platformpostgres.ViolatedConstraint(err); !ok || got != want {
			t.Errorf("violated %q (error %v), want %q", got, err, want)
		}
	}
}

// Whoever deletes a user, by whatever way, deletes the addresses too.
func TestAddressesGoWithTheirUser(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	user, s := keepOwner(t, pool), postgres.New(pool)
	err := s.UpdateAddressBook(t.Context(), user, func(b *domain.AddressBook) error {
		_, err := b.Add(domain.AddressText{Recipient: "Ann", Line1: "1 Main St", City: "Bonn", PostalCode: "53111", Country: "DE"}, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountAddresses(t.Context(), user); err != nil || n != 1 {
		t.Fatalf("count %d, error %v; want 1", n, err)
	}
	if _, err := pool.Exec(t.Context(), `DELETE FROM users WHERE id = $1`, user); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountAddresses(t.Context(), user); err != nil || n != 0 {
		t.Errorf("count %d, error %v; want 0", n, err)
	}
}
