package rpc_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	orderv1 "shop.example/proto/order/v1"
)

// coupons returns a client of the coupons and a context of an admin.
func (s *service) coupons(t *testing.T) (orderv1.CouponServiceClient, context.Context) {
	t.Helper()
	_, ctx := s.user(t, auth.Admin)
	return orderv1.NewCouponServiceClient(s.dial(t, grpcserver.Gateway)), ctx
}

func percent(code string) *orderv1.CreateCouponRequest {
	return &orderv1.CreateCouponRequest{Code: code, Type: orderv1.CouponType_COUPON_TYPE_PERCENT, Value: 10}
}

func TestCoupons(t *testing.T) {
	t.Parallel()
	s := setup(t)
	client, ctx := s.coupons(t)
	start := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	wish := percent("spring-1")
	wish.MinSubtotal, wish.MaxUses, wish.MaxUsesPerCustomer = new(int64(2500)), new(int64(5)), new(int64(1))
	wish.StartsAt, wish.EndsAt = timestamppb.New(start), timestamppb.New(start.Add(2*time.Hour))
	created, err := client.CreateCoupon(ctx, wish)
	if err != nil {
		t.Fatal(err)
	}
	want := &orderv1.Coupon{
		Id: created.GetCoupon().GetId(), Code: "SPRING-1", Type: orderv1.CouponType_COUPON_TYPE_PERCENT, Value: 10, MinSubtotal: new(int64(2500)),
		StartsAt: wish.GetStartsAt(), EndsAt: wish.GetEndsAt(), MaxUses: new(int64(5)), MaxUsesPerCustomer: new(int64(1)),
		Status: orderv1.CouponStatus_COUPON_STATUS_ACTIVE, Version: 1,
	}
	same := func(what string, got *orderv1.Coupon) {
		t.Helper()
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	same("created", created.GetCoupon())
	_, err = client.CreateCoupon(ctx, percent("Spring-1"))
	wantError(t, "the code again", err, apperr.Conflict, "code_taken")

	// It is used.
	_, customer := s.user(t, auth.Customer)
	order := s.wish(usecasetest.TokOK)
	order.CouponCode = "spring-1"
	placed := s.place(customer, t, order)
	if o := placed.GetOrder(); o.GetDiscount().GetAmount() != 250 || o.GetTotal().GetAmount() != 2500-250+490 || o.GetCouponCode() != "SPRING-1" {
		t.Errorf("placed %v", o)
	}
	order.IdempotencyKey = uuid.NewString()
	_, err = s.gateway.PlaceOrder(customer, order)
	exhausted := wantError(t, "a second use", err, apperr.Conflict, "coupon_exhausted")
	if len(exhausted.Violations) != 1 || exhausted.Violations[0].Location != "coupon_code" {
		t.Errorf("violations %v", exhausted.Violations)
	}
	want.Uses = 1
	read, err := client.GetCoupon(ctx, &orderv1.GetCouponRequest{CouponId: want.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	same("read", read.GetCoupon())

	// Some fields are set, others cleared, the rest stays.
	changed, err := client.UpdateCoupon(ctx, &orderv1.UpdateCouponRequest{
		CouponId: want.GetId(), Value: new(int64(20)), Code: new("summer"), Clear: []string{"ends_at", "max_uses_per_customer"},
		Status: new(orderv1.CouponStatus_COUPON_STATUS_DISABLED), IfVersion: new(int64(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	want.Value, want.Code, want.EndsAt, want.MaxUsesPerCustomer, want.Version = 20, "SUMMER", nil, nil, 2
	want.Status = orderv1.CouponStatus_COUPON_STATUS_DISABLED
	same("changed", changed.GetCoupon())
	for name, change := range map[string]*orderv1.UpdateCouponRequest{
		"code":         {Code: new("not one")},
		"value":        {Value: new(int64(101))},
		"max_uses":     {MaxUses: new(int64(0))},
		"min_subtotal": {MinSubtotal: new(int64(1)), Clear: []string{"min_subtotal"}},
		"ends_at":      {EndsAt: timestamppb.New(start)},
		"starts_at":    {StartsAt: &timestamppb.Timestamp{Seconds: -1 << 60}},
	} {
		change.CouponId = want.GetId()
		_, err := client.UpdateCoupon(ctx, change)
		if got := wantError(t, name, err, apperr.Invalid, "validation_failed").Violations; len(got) != 1 || got[0].Location != name {
			t.Errorf("%s: violations %v", name, got)
		}
	}
	_, err = client.UpdateCoupon(ctx, &orderv1.UpdateCouponRequest{CouponId: want.GetId(), Value: new(int64(5)), IfVersion: new(int64(1))})
	wantError(t, "an old version", err, apperr.VersionMismatch, "version_mismatch")
	_, err = client.DeleteCoupon(ctx, &orderv1.DeleteCouponRequest{CouponId: want.GetId(), IfVersion: new(int64(1))})
	wantError(t, "an old version deleted", err, apperr.VersionMismatch, "version_mismatch")
	if _, err := client.DeleteCoupon(ctx, &orderv1.DeleteCouponRequest{CouponId: want.GetId(), IfVersion: new(int64(2))}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DeleteCoupon(ctx, &orderv1.DeleteCouponRequest{CouponId: want.GetId()})
	wantError(t, "deleted again", err, apperr.NotFound, "not_found")
	_, err = client.GetCoupon(ctx, &orderv1.GetCouponRequest{CouponId: want.GetId()})
	wantError(t, "read when it is deleted", err, apperr.NotFound, "not_found")
	// The order keeps its discount, and the code is free.
	if o, err := s.gateway.GetOrder(customer, &orderv1.GetOrderRequest{OrderId: placed.GetOrder().GetId()}); err != nil || o.GetOrder().GetDiscount().GetAmount() != 250 {
		t.Errorf("the order: %v, %v", o, err)
	}
	if _, err := client.CreateCoupon(ctx, percent("SUMMER")); err != nil {
		t.Errorf("the code again: %v", err)
	}
}

func TestListCoupons(t *testing.T) {
	t.Parallel()
	s := setup(t)
	client, ctx := s.coupons(t)
	var want []string // newest first
	for range 22 {
		created, err := client.CreateCoupon(ctx, percent(uuid.NewString()))
		if err != nil {
			t.Fatal(err)
		}
		want = append([]string{created.GetCoupon().GetId()}, want...)
	}
	var (
		got   []string
		sizes []int
		req   = &orderv1.ListCouponsRequest{IncludeTotal: true} // 20 unless it says
	)
	for range 2 {
		page, err := client.ListCoupons(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.GetCoupons() {
			got = append(got, c.GetId())
		}
		if page.TotalSize == nil || page.GetTotalSize() != 22 {
			t.Errorf("total %v", page.TotalSize)
		}
		sizes, req.PageToken = append(sizes, len(page.GetCoupons())), page.GetNextPageToken()
	}
	if diff := cmp.Diff(want, got); diff != "" || !slices.Equal(sizes, []int{20, 2}) || req.GetPageToken() != "" {
		t.Errorf("pages of %v (-want +got):\n%s", sizes, diff)
	}
	if page, err := client.ListCoupons(ctx, &orderv1.ListCouponsRequest{PageSize: 3}); err != nil || len(page.GetCoupons()) != 3 || page.TotalSize != nil {
		t.Errorf("three: %v, %v", page, err)
	}
	_, err := client.ListCoupons(ctx, &orderv1.ListCouponsRequest{PageToken: "Zm9v"})
	wantError(t, "a token of another list", err, apperr.Invalid, "validation_failed")
}

// Coupons are an admin's, through the gateway, and nobody else's.
func TestWhoMayKeepCoupons(t *testing.T) {
	t.Parallel()
	s := setup(t)
	each := func(ctx context.Context, c orderv1.CouponServiceClient) map[string]error {
		id, errs := uuid.NewString(), make(map[string]error)
		_, errs["ListCoupons"] = c.ListCoupons(ctx, &orderv1.ListCouponsRequest{})
		_, errs["GetCoupon"] = c.GetCoupon(ctx, &orderv1.GetCouponRequest{CouponId: id})
		_, errs["CreateCoupon"] = c.CreateCoupon(ctx, percent(uuid.NewString()))
		_, errs["UpdateCoupon"] = c.UpdateCoupon(ctx, &orderv1.UpdateCouponRequest{CouponId: id})
		_, errs["DeleteCoupon"] = c.DeleteCoupon(ctx, &orderv1.DeleteCouponRequest{CouponId: id})
		return errs
	}
	client, admin := s.coupons(t)
	if methods := orderv1.CouponService_ServiceDesc.Methods; len(methods) != len(each(admin, client)) {
		t.Errorf("the test calls another number of methods than the %d there are", len(methods))
	}
	for method, err := range each(admin, client) {
		if err != nil && apperr.KindOf(err) != apperr.NotFound {
			t.Errorf("%s, by an admin: %v", method, err)
		}
	}
	for method, err := range each(t.Context(), client) {
		if apperr.KindOf(err) != apperr.Unauthenticated {
			t.Errorf("%s, anonymous: %v", method, err)
		}
	}
	for _, role := range []auth.Role{auth.Customer, auth.Staff} {
		_, ctx := s.user(t, role)
		for method, err := range each(ctx, client) {
			if apperr.KindOf(err) != apperr.PermissionDenied {
				t.Errorf("%s, by %s: %v", method, role, err)
			}
		}
	}
	for _, caller := range []string{grpcserver.UserService, grpcserver.ProductService, grpcserver.CartService} {
		for method, err := range each(admin, orderv1.NewCouponServiceClient(s.dial(t, caller))) {
			if err == nil || apperr.KindOf(err) != apperr.Internal {
				t.Errorf("%s calls %s: %v", caller, method, err)
			}
		}
	}
}
