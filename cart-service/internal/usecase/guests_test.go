package usecase_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/apperr"
)

// guestAdds puts something into a guest's cart, and returns the token that is answered.
func (f *fixture) guestAdds(t *testing.T, token string, id uuid.UUID, quantity int64) string {
	t.Helper()
	_, answered, err := f.AddItem(t.Context(), usecase.PutItem{ProductID: id, Quantity: quantity, CartToken: token})
	if err != nil {
		t.Fatal(err)
	}
	return answered
}

func (f *fixture) pieces(ctx context.Context, t *testing.T, token string) int64 {
	t.Helper()
	v, err := f.Get(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	return v.Pieces
}

func TestGuest(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.users.err = domain.ErrUserUnknown // nobody is to ask about a guest
	cheese := f.products.sell(500)
	if v, err := f.Get(t.Context(), ""); err != nil || v.Version != 0 || v.Pieces != 0 {
		t.Errorf("Get without a token = %+v, %v, want an empty cart", v, err)
	}
	token := f.guestAdds(t, "", cheese, 1)
	if again := f.guestAdds(t, token, cheese, 2); again != token {
		t.Errorf("the token is %q now, and was %q", again, token)
	}
	v, answered, err := f.SetItem(t.Context(), usecase.PutItem{ProductID: cheese, Quantity: 5, CartToken: token})
	if err != nil || answered != token || v.Pieces != 5 || v.Version != 3 {
		t.Errorf("SetItem = %+v, %q, %v", v, answered, err)
	}
	if other := f.guestAdds(t, "", cheese, 1); other == token {
		t.Error("two guests have one token")
	}
	if n := f.pieces(t.Context(), t, token); n != 5 {
		t.Errorf("%d pieces, want 5", n)
	}
	if v, err := f.RemoveItem(t.Context(), usecase.RemoveItem{ProductID: cheese, CartToken: token}); err != nil || v.Pieces != 0 || v.Version != 4 {
		t.Errorf("RemoveItem = %+v, %v", v, err)
	}
	f.guestAdds(t, token, cheese, 1)
	if err := f.Clear(t.Context(), token, new(int64(5))); err != nil {
		t.Error(err)
	}
	if n := f.pieces(t.Context(), t, token); n != 0 {
		t.Errorf("%d pieces after Clear", n)
	}
}

// What takes something out makes no cart.
func TestGuestWithoutACart(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese := f.products.sell(500)
	v, token, err := f.SetItem(t.Context(), usecase.PutItem{ProductID: cheese})
	if err != nil || token != "" || v.Version != 0 {
		t.Errorf("SetItem to 0 = %+v, %q, %v", v, token, err)
	}
	if v, err := f.RemoveItem(t.Context(), usecase.RemoveItem{ProductID: cheese}); err != nil || v.Version != 0 {
		t.Errorf("RemoveItem = %+v, %v", v, err)
	}
	if err := f.Clear(t.Context(), "", nil); err != nil {
		t.Error(err)
	}
	if err := f.Clear(t.Context(), "", new(int64(3))); apperr.KindOf(err) != apperr.VersionMismatch {
		t.Errorf("Clear at a version = %v, want version_mismatch", err)
	}
	if _, _, err := f.AddItem(t.Context(), usecase.PutItem{ProductID: cheese, Quantity: 1, IfVersion: new(int64(3))}); apperr.KindOf(err) != apperr.VersionMismatch {
		t.Errorf("AddItem at a version = %v, want version_mismatch", err)
	}
}

// A token outlives its cart, and begins no other one.
func TestTokenOfAnExpiredCart(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese := f.products.sell(500)
	token := f.guestAdds(t, "", cheese, 1)
	f.clock = f.clock.Add(domain.Lifetime)
	if n := f.pieces(t.Context(), t, token); n != 0 {
		t.Errorf("%d pieces in a cart that expired", n)
	}
	_, _, err := f.AddItem(t.Context(), usecase.PutItem{ProductID: cheese, Quantity: 1, CartToken: token})
	if !errors.Is(err, domain.ErrCartGone) {
		t.Errorf("AddItem = %v, want cart_gone", err)
	}
	_, _, err = f.SetItem(t.Context(), usecase.PutItem{ProductID: cheese, Quantity: 1, CartToken: token})
	if !errors.Is(err, domain.ErrCartGone) {
		t.Errorf("SetItem = %v, want cart_gone", err)
	}
	if n := f.pieces(t.Context(), t, token); n != 0 {
		t.Errorf("%d pieces in a cart that was begun with a spent token", n)
	}
}

func TestWrongCartToken(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese := f.products.sell(500)
	token := f.guestAdds(t, "", cheese, 1)
	wrong := "B" + token[1:] // of another version
	_, add, err := f.AddItem(t.Context(), usecase.PutItem{ProductID: cheese, Quantity: 1, CartToken: wrong})
	errs := map[string]error{"AddItem": err}
	_, _, errs["SetItem"] = f.SetItem(t.Context(), usecase.PutItem{ProductID: cheese, Quantity: 1, CartToken: wrong})
	_, _, errs["SetItem to 0"] = f.SetItem(t.Context(), usecase.PutItem{ProductID: cheese, CartToken: wrong})
	_, errs["RemoveItem"] = f.RemoveItem(t.Context(), usecase.RemoveItem{ProductID: cheese, CartToken: wrong})
	errs["Clear"] = f.Clear(t.Context(), wrong, nil)
	_, errs["Get"] = f.Get(t.Context(), wrong)
	_, errs["Merge"] = f.Merge(f.ctx, wrong)
	for what, err := range errs {
		e := apperr.From(err)
		if err == nil || e.Kind != apperr.Invalid || len(e.Violations) != 1 || e.Violations[0].Location != "cart_token" {
			t.Errorf("%s = %v, want invalid at cart_token", what, err)
		}
	}
	if add != "" {
		t.Errorf("a refused write answers the token %q", add)
	}
	// A user has a cart of its own, whatever token comes along.
	f.add(t, cheese, 2)
	for _, sent := range []string{token, wrong} {
		if n := f.pieces(f.ctx, t, sent); n != 2 {
			t.Errorf("%d pieces in the user's cart, want 2", n)
		}
		_, answered, err := f.SetItem(f.ctx, usecase.PutItem{ProductID: cheese, Quantity: 2, CartToken: sent})
		if err != nil || answered != "" {
			t.Errorf("SetItem = %q, %v, want no token for a user", answered, err)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese, bread := f.products.sell(500), f.products.sell(300)
	f.add(t, cheese, 1)
	token := f.guestAdds(t, "", cheese, 2)
	f.guestAdds(t, token, bread, 1)
	f.products.asked = nil
	for range 2 {
		v, err := f.Merge(f.ctx, token)
		if err != nil || v.Pieces != 4 || v.Version != 2 || v.Subtotal.Amount() != 1800 {
			t.Errorf("Merge = %+v, %v", v, err)
		}
	}
	if len(f.products.asked) != 2 {
		t.Errorf("product-service was asked %d times for two answers", len(f.products.asked))
	}
	// The guest begins anew, without the token.
	if n := f.pieces(t.Context(), t, token); n != 0 {
		t.Errorf("the guest still has %d pieces", n)
	}
	if v, err := f.RemoveItem(t.Context(), usecase.RemoveItem{ProductID: cheese, CartToken: token}); err != nil || v.Version != 0 {
		t.Errorf("RemoveItem = %+v, %v", v, err)
	}
	if _, _, err := f.AddItem(t.Context(), usecase.PutItem{ProductID: bread, Quantity: 1, CartToken: token}); !errors.Is(err, domain.ErrCartGone) {
		t.Errorf("AddItem with a spent token = %v, want cart_gone", err)
	}
	next := f.guestAdds(t, "", bread, 1)
	if v, err := f.Merge(f.ctx, next); err != nil || v.Pieces != 5 {
		t.Errorf("Merge of the next cart = %+v, %v", v, err)
	}
	// Nobody, and somebody who may not act any more.
	if _, err := f.Merge(t.Context(), token); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("Merge of a guest = %v, want unauthenticated", err)
	}
	f.users.err = domain.ErrUserDisabled
	if _, err := f.Merge(f.ctx, token); !errors.Is(err, domain.ErrUserDisabled) {
		t.Errorf("Merge of a disabled user = %v", err)
	}
}

var errCrash = errors.New("crash")

// crashes is a store that fails before the step of a merge that is called so.
type crashes struct {
	*store
	step string
}

func (c *crashes) Seal(ctx context.Context, guest, user domain.Owner) ([]domain.Line, error) {
	if c.step == "seal" {
		return nil, errCrash
	}
	return c.store.Seal(ctx, guest, user)
}

func (c *crashes) Merge(ctx context.Context, user, guest domain.Owner, lines []domain.Line, at time.Time) (*domain.Cart, error) {
	if c.step == "merge" {
		return nil, errCrash
	}
	return c.store.Merge(ctx, user, guest, lines, at)
}

func (c *crashes) Discard(ctx context.Context, guest, user domain.Owner) error {
	if c.step == "discard" {
		return errCrash
	}
	return c.store.Discard(ctx, guest, user)
}

func TestMergeGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"seal", "merge", "discard"} {
		f := setup(t)
		cheese := f.products.sell(500)
		f.add(t, cheese, 1)
		token := f.guestAdds(t, "", cheese, 2)
		_, err := f.carts(&crashes{f.store, step}).Merge(f.ctx, token)
		if step == "discard" && err != nil || step != "discard" && !errors.Is(err, errCrash) {
			t.Errorf("%s fails: Merge = %v", step, err)
		}
		for range 2 {
			if v, err := f.Merge(f.ctx, token); err != nil || v.Pieces != 3 {
				t.Errorf("%s failed: Merge again = %+v, %v, want 3 pieces", step, v, err)
			}
		}
	}
}
