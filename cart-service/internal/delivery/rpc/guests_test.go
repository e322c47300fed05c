package rpc_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	cartv1 "shop.example/proto/cart/v1"
	userv1 "shop.example/proto/user/v1"
)

func TestCartOfAGuest(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context() // nobody is signed in
	cheese, bread := s.product(500, 10), s.product(300, 10)

	empty, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{})
	if err != nil || len(empty.GetCart().GetItems()) != 0 || empty.GetCart().GetExpiresAt() != nil {
		t.Errorf("GetCart of nobody = %v, %v, want an empty cart", empty, err)
	}
	added, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 2})
	if err != nil || added.GetCartToken() == "" {
		t.Fatalf("AddItem = %v, %v, want a token", added, err)
	}
	mine := added.GetCartToken()
	set, err := s.gateway.SetItem(ctx, &cartv1.SetItemRequest{ProductId: bread, Quantity: 1, CartToken: mine})
	if err != nil || set.GetCartToken() != mine || set.GetCart().GetSubtotal().GetAmount() != 1300 {
		t.Errorf("SetItem = %v, %v", set, err)
	}
	if left := time.Until(set.GetCart().GetExpiresAt().AsTime()); left < 29*24*time.Hour || left > 30*24*time.Hour {
		t.Errorf("expires in %v, want 30 days", left)
	}

	tampered := []byte(mine)
	tampered[20] ^= 1
	_, err = s.gateway.GetCart(ctx, &cartv1.GetCartRequest{CartToken: string(tampered)})
	wantError(t, err, apperr.Invalid, "validation_failed")
	if e := apperr.From(err); len(e.Violations) != 1 || e.Violations[0].Location != "cart_token" {
		t.Errorf("violations = %+v, want one at cart_token", e.Violations)
	}
	_, err = s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1, CartToken: string(tampered)})
	wantError(t, err, apperr.Invalid, "validation_failed")

	// A bad access token is no guest's.
	_, err = s.gateway.GetCart(auth.NewContext(ctx, auth.Principal{UserID: uuid.NewString(), Token: "a.b.c"}), &cartv1.GetCartRequest{CartToken: mine})
	wantError(t, err, apperr.Unauthenticated, "unauthenticated")

	// Signed in, it is another cart, until they are merged; again, or by somebody else, that changes nothing.
	_, alice := s.customer(t)
	if own, err := s.gateway.GetCart(alice, &cartv1.GetCartRequest{CartToken: mine}); err != nil || own.GetCart().GetItemCount() != 0 {
		t.Errorf("GetCart of a user = %v, %v, want her own cart", own, err)
	}
	if added, err := s.gateway.AddItem(alice, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1, CartToken: mine}); err != nil || added.GetCartToken() != "" {
		t.Errorf("AddItem of a user = %v, %v, want no token", added, err)
	}
	for range 2 {
		merged, err := s.gateway.MergeCart(alice, &cartv1.MergeCartRequest{CartToken: mine})
		if err != nil || merged.GetCart().GetItemCount() != 4 || merged.GetCart().GetVersion() != 2 {
			t.Errorf("MergeCart = %v, %v", merged, err)
		}
	}
	_, bob := s.customer(t)
	if merged, err := s.gateway.MergeCart(bob, &cartv1.MergeCartRequest{CartToken: mine}); err != nil || merged.GetCart().GetItemCount() != 0 {
		t.Errorf("MergeCart of another user = %v, %v, want an empty cart", merged, err)
	}
	_, err = s.gateway.MergeCart(alice, &cartv1.MergeCartRequest{CartToken: string(tampered)})
	wantError(t, err, apperr.Invalid, "validation_failed")
	// Signed out, she begins anew.
	if left, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{CartToken: mine}); err != nil || left.GetCart().GetItemCount() != 0 {
		t.Errorf("GetCart with a spent token = %v, %v, want an empty cart", left, err)
	}
	if _, err := s.gateway.ClearCart(ctx, &cartv1.ClearCartRequest{CartToken: mine}); err != nil {
		t.Errorf("ClearCart with a spent token = %v", err)
	}
}

// Every answer costs product-service one call, whatever is in the cart.
func TestOneBatchCall(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.customer(t)
	added, err := s.gateway.AddItem(t.Context(), &cartv1.AddItemRequest{ProductId: s.product(100, 1), Quantity: 1})
	if err != nil {
		t.Fatal(err)
	}
	guest := added.GetCartToken()
	calls := func() int {
		s.products.mu.Lock()
		defer s.products.mu.Unlock()
		return s.products.calls
	}
	before := calls()
	for i := range 20 {
		if _, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: s.product(100, 1), Quantity: 1}); err != nil {
			t.Fatal(err)
		}
		if got := calls() - before; got != i+1 {
			t.Fatalf("%d calls for %d adds", got, i+1)
		}
	}
	before = calls()
	if _, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{}); err != nil || calls()-before != 1 {
		t.Errorf("GetCart: %d calls, %v", calls()-before, err)
	}
	before = calls()
	if _, err := s.gateway.MergeCart(ctx, &cartv1.MergeCartRequest{CartToken: guest}); err != nil || calls()-before != 1 {
		t.Errorf("MergeCart: %d calls, %v", calls()-before, err)
	}
}

func TestCartsOfDeletedUsersGo(t *testing.T) {
	t.Parallel()
	s := setup(t)
	cheese := s.product(500, 10)
	for range 5 {
		id, ctx := s.customer(t)
		if _, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1}); err != nil {
			t.Fatal(err)
		}
		s.people.delete(id)
	}
	stays, ctx := s.customer(t)
	if _, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	s.people.outage.set(true)
	if _, err := s.erasures.CatchUp(t.Context()); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("CatchUp without user-service = %v, want unavailable", err)
	}
	s.people.outage.set(false)
	erased := 0
	for range 3 { // pages of two: a page that is not full ends a round
		n, err := s.erasures.CatchUp(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		erased += n
	}
	if erased != 5 {
		t.Errorf("%d carts erased, want 5", erased)
	}
	s.people.set(stays, userv1.UserStatus_USER_STATUS_ACTIVE)
	if cart, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{}); err != nil || cart.GetCart().GetItemCount() != 1 {
		t.Errorf("GetCart of a user who stays = %v, %v", cart, err)
	}
}
