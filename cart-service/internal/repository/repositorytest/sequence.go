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

// anySequence holds the store to the verbs of domain.Cart: whatever is done, in whatever order, both answer the same.
func anySequence(t *testing.T, s Store) {
	known := products(domain.MaxLines + 5)
	rapid.Check(t, func(r *rapid.T) {
		ctx, owner := t.Context(), newOwner()
		model := domain.NewCart(owner)
		at := now
		if rapid.IntRange(0, 9).Draw(r, "nearly full") == 9 { // the exception: filling it takes a while
			for _, id := range known[:domain.MaxLines-1] {
				l := line(id, 1, 1, at)
				if _, err := s.Add(ctx, owner, l, nil); err != nil {
					r.Fatal(err)
				}
				if err := model.Add(l); err != nil {
					r.Fatal(err)
				}
			}
		}
		product := rapid.Custom(func(r *rapid.T) uuid.UUID {
			// A few products, so that they meet; and those around the limit of lines.
			i := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(domain.MaxLines-2, len(known)-1)).Draw(r, "product")
			return known[i]
		})
		draw := func(r *rapid.T) domain.Line {
			quantity := rapid.OneOf(rapid.Int64Range(1, 5), rapid.Int64Range(1, 2*domain.MaxQuantity), rapid.Int64()).Draw(r, "quantity")
			return line(product.Draw(r, "id"), quantity, rapid.Int64Range(0, 1<<60).Draw(r, "price"), at)
		}
		expected := func(r *rapid.T) *int64 {
			switch rapid.IntRange(0, 3).Draw(r, "expected version") {
			case 0:
				return new(model.Version())
			case 1:
				return new(rapid.Int64Range(0, 5).Draw(r, "version"))
			default:
				return nil
			}
		}
		// change applies a verb to the model as a store does.
		change := func(version *int64, verb func() error) error {
			if err := model.Expect(version); err != nil {
				return err
			}
			return verb()
		}
		compare := func(r *rapid.T, what string, got, want error) {
			if (got == nil) != (want == nil) || want != nil && !errors.Is(got, want) {
				r.Fatalf("%s = %v, want %v", what, got, want)
			}
		}
		orders := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		told := make(map[uuid.UUID]bool)
		r.Repeat(map[string]func(*rapid.T){
			"add": func(r *rapid.T) {
				l, version := draw(r), expected(r)
				_, err := s.Add(ctx, owner, l, version)
				compare(r, "Add", err, change(version, func() error { return model.Add(l) }))
			},
			"set": func(r *rapid.T) {
				l, version := draw(r), expected(r)
				_, err := s.Set(ctx, owner, l, version)
				compare(r, "Set", err, change(version, func() error { return model.Set(l) }))
			},
			"remove": func(r *rapid.T) {
				id, version := product.Draw(r, "id"), expected(r)
				_, err := s.Remove(ctx, owner, id, version, at)
				compare(r, "Remove", err, change(version, func() error { model.Remove(id, at); return nil }))
			},
			"clear": func(r *rapid.T) {
				version := expected(r)
				err := s.Clear(ctx, owner, version, at)
				compare(r, "Clear", err, change(version, func() error { model.Clear(at); return nil }))
			},
			"remember": func(r *rapid.T) {
				news := domain.Known{SKU: "S", Name: rapid.String().Draw(r, "name"), Price: money.MustNew(rapid.Int64Min(0).Draw(r, "price"), "USD"), At: at}
				id := product.Draw(r, "id")
				compare(r, "Remember", s.Remember(ctx, owner, map[uuid.UUID]domain.Known{id: news}), nil)
				model.Remember(map[uuid.UUID]domain.Known{id: news})
			},
			"purchased": func(r *rapid.T) {
				order := rapid.SampledFrom(orders).Draw(r, "order")
				var lines []domain.PurchasedLine
				for range rapid.IntRange(1, 4).Draw(r, "lines") {
					lines = append(lines, domain.PurchasedLine{ProductID: product.Draw(r, "id"), Quantity: rapid.Int64Range(1, 10).Draw(r, "bought")})
				}
				compare(r, "RemovePurchased", s.RemovePurchased(ctx, owner, order, lines, at), nil)
				if !told[order] {
					told[order] = true
					model.RemovePurchased(lines, at)
				}
			},
			// After every step.
			"": func(r *rapid.T) {
				at = at.Add(time.Microsecond)
				got, err := s.Get(ctx, owner)
				if err != nil {
					r.Fatal(err)
				}
				if diff := diffCarts(got, model.Snapshot()); diff != "" {
					r.Fatalf("cart (-model +store):\n%s", diff)
				}
			},
		})
	})
}
