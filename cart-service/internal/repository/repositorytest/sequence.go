package repositorytest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/money"
)

// model is what a store must do, in terms of the domain's verbs.
type model struct {
	carts map[domain.Owner]*domain.Cart
	seals map[domain.Owner]*sealed
	told  map[domain.Owner]map[string]bool
}

// sealed is a guest's cart that is for a user.
type sealed struct {
	user  domain.Owner
	lines []domain.Line
}

// change applies a verb to a cart as a store does.
func (m *model) change(owner domain.Owner, version *int64, verb func(*domain.Cart) error) error {
	if m.seals[owner] != nil {
		return domain.ErrCartGone
	}
	if err := m.carts[owner].Expect(version); err != nil {
		return err
	}
	return verb(m.carts[owner])
}

// once applies a verb to a cart the first time that it is told of something.
func (m *model) once(owner domain.Owner, what string, verb func(*domain.Cart)) {
	if m.told[owner] == nil {
		m.told[owner] = make(map[string]bool)
	}
	if !m.told[owner][what] {
		m.told[owner][what] = true
		verb(m.carts[owner])
	}
}

func (m *model) seal(guest, user domain.Owner) []domain.Line {
	if m.seals[guest] == nil && m.carts[guest].Version() > 0 {
		m.seals[guest] = &sealed{user, m.carts[guest].Lines()}
		m.carts[guest] = domain.NewCart(guest)
	}
	if s := m.seals[guest]; s != nil && s.user == user {
		return s.lines
	}
	return nil
}

// anySequence holds the store to the verbs of domain.Cart: whatever two users and their guests do, in whatever order, both
// answer the same. Each step of a merge is a step of its own, so that every interruption of a merge, and everything that may
// happen before it is taken up again, is among the sequences.
func anySequence(t *testing.T, s Store) {
	known := products(domain.MaxLines + 5)
	rapid.Check(t, func(r *rapid.T) {
		ctx, at := t.Context(), now
		users, guests := []domain.Owner{newUser(), newUser()}, []domain.Owner{newGuest(), newGuest()}
		owners := append(append([]domain.Owner{}, users...), guests...)
		m := &model{carts: map[domain.Owner]*domain.Cart{}, seals: map[domain.Owner]*sealed{}, told: map[domain.Owner]map[string]bool{}}
		for _, owner := range owners {
			m.carts[owner] = domain.NewCart(owner)
		}
		if rapid.IntRange(0, 9).Draw(r, "nearly full") == 9 { // the exception: filling it takes a while
			for _, id := range known[:domain.MaxLines-1] {
				l := line(id, 1, 1, at)
				if _, err := s.Add(ctx, users[0], l, nil); err != nil {
					r.Fatal(err)
				}
				if err := m.carts[users[0]].Add(l); err != nil {
					r.Fatal(err)
				}
			}
		}
		anyOwner, anyUser, anyGuest := rapid.SampledFrom(owners), rapid.SampledFrom(users), rapid.SampledFrom(guests)
		product := rapid.Custom(func(r *rapid.T) uuid.UUID {
			// A few products, so that they meet; and those around the limit of lines.
			i := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(domain.MaxLines-2, len(known)-1)).Draw(r, "product")
			return known[i]
		})
		draw := func(r *rapid.T) domain.Line {
			quantity := rapid.OneOf(rapid.Int64Range(1, 5), rapid.Int64Range(1, 2*domain.MaxQuantity), rapid.Int64()).Draw(r, "quantity")
			return line(product.Draw(r, "id"), quantity, rapid.Int64Range(0, 1<<60).Draw(r, "price"), at)
		}
		expected := func(r *rapid.T, owner domain.Owner) *int64 {
			switch rapid.IntRange(0, 3).Draw(r, "expected version") {
			case 0:
				return new(m.carts[owner].Version())
			case 1:
				return new(rapid.Int64Range(0, 5).Draw(r, "version"))
			default:
				return nil
			}
		}
		compare := func(r *rapid.T, what string, got, want error) {
			if (got == nil) != (want == nil) || want != nil && !errors.Is(got, want) {
				r.Fatalf("%s = %v, want %v", what, got, want)
			}
		}
		compareCart := func(r *rapid.T, got *domain.Cart, owner domain.Owner) {
			if diff := diffCarts(got, m.carts[owner].Snapshot()); diff != "" {
				r.Fatalf("cart of %s (-model +store):\n%s", owner, diff)
			}
		}
		orders := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		r.Repeat(map[string]func(*rapid.T){
			"add": func(r *rapid.T) {
				owner, l := anyOwner.Draw(r, "owner"), draw(r)
				version := expected(r, owner)
				_, err := s.Add(ctx, owner, l, version)
				compare(r, "Add", err, m.change(owner, version, func(c *domain.Cart) error { return c.Add(l) }))
			},
			"set": func(r *rapid.T) {
				owner, l := anyOwner.Draw(r, "owner"), draw(r)
				version := expected(r, owner)
				_, err := s.Set(ctx, owner, l, version)
				compare(r, "Set", err, m.change(owner, version, func(c *domain.Cart) error { return c.Set(l) }))
			},
			"remove": func(r *rapid.T) {
				owner, id := anyOwner.Draw(r, "owner"), product.Draw(r, "id")
				version := expected(r, owner)
				_, err := s.Remove(ctx, owner, id, version, at)
				compare(r, "Remove", err, m.change(owner, version, func(c *domain.Cart) error { c.Remove(id, at); return nil }))
			},
			"clear": func(r *rapid.T) {
				owner := anyOwner.Draw(r, "owner")
				version := expected(r, owner)
				err := s.Clear(ctx, owner, version, at)
				compare(r, "Clear", err, m.change(owner, version, func(c *domain.Cart) error { c.Clear(at); return nil }))
			},
			"remember": func(r *rapid.T) {
				owner, id := anyOwner.Draw(r, "owner"), product.Draw(r, "id")
				news := domain.Known{SKU: "S", Name: rapid.String().Draw(r, "name"), Price: money.MustNew(rapid.Int64Min(0).Draw(r, "price"), "USD"), At: at}
				compare(r, "Remember", s.Remember(ctx, owner, map[uuid.UUID]domain.Known{id: news}), nil)
				m.carts[owner].Remember(map[uuid.UUID]domain.Known{id: news})
			},
			"purchased": func(r *rapid.T) {
				user, order := anyUser.Draw(r, "user"), rapid.SampledFrom(orders).Draw(r, "order")
				var lines []domain.PurchasedLine
				for range rapid.IntRange(1, 4).Draw(r, "lines") {
					lines = append(lines, domain.PurchasedLine{ProductID: product.Draw(r, "id"), Quantity: rapid.Int64Range(1, 10).Draw(r, "bought")})
				}
				compare(r, "RemovePurchased", s.RemovePurchased(ctx, user, order, lines, at), nil)
				m.once(user, order.String(), func(c *domain.Cart) { c.RemovePurchased(lines, at) })
			},
			"merge, as far as it comes": func(r *rapid.T) {
				user, guest := anyUser.Draw(r, "user"), anyGuest.Draw(r, "guest")
				steps := rapid.IntRange(1, 3).Draw(r, "steps")
				got, err := s.Seal(ctx, guest, user)
				compare(r, "Seal", err, nil)
				lines := m.seal(guest, user)
				if diff := diffLines(got, lines); diff != "" {
					r.Fatalf("lines of %s for %s (-model +store):\n%s", guest, user, diff)
				}
				if steps == 1 || len(lines) == 0 {
					return
				}
				c, err := s.Merge(ctx, user, guest, got, at)
				compare(r, "Merge", err, nil)
				m.once(user, guest.String(), func(c *domain.Cart) { c.Merge(lines, at) })
				compareCart(r, c, user)
				if steps == 2 {
					return
				}
				compare(r, "Discard", s.Discard(ctx, guest, user), nil)
				m.seals[guest].lines = nil
			},
			"erase": func(r *rapid.T) {
				user := anyUser.Draw(r, "user")
				n, err := s.Erase(ctx, []domain.Owner{user})
				compare(r, "Erase", err, nil)
				if want := min(1, m.carts[user].Version()); int64(n) != want {
					r.Fatalf("%d carts erased, want %d", n, want)
				}
				m.carts[user] = domain.NewCart(user)
				delete(m.told, user)
			},
			// After every step.
			"": func(r *rapid.T) {
				at = at.Add(time.Microsecond)
				for _, owner := range owners {
					got, err := s.Get(ctx, owner)
					if err != nil {
						r.Fatal(err)
					}
					compareCart(r, got, owner)
				}
			},
		})
	})
}
