package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	orderv1 "shop.example/proto/order/v1"
)

// CouponServer serves order.v1.CouponService.
type CouponServer struct {
	orderv1.UnimplementedCouponServiceServer

	coupons *usecase.Coupons
}

func (s *CouponServer) ListCoupons(ctx context.Context, req *orderv1.ListCouponsRequest) (*orderv1.ListCouponsResponse, error) {
	page, err := s.coupons.List(ctx, usecase.ListCoupons{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), IncludeTotal: req.GetIncludeTotal(),
	})
	if err != nil {
		return nil, err
	}
	answer := &orderv1.ListCouponsResponse{NextPageToken: page.NextPageToken, TotalSize: page.Total}
	for _, c := range page.Coupons {
		answer.Coupons = append(answer.Coupons, fromCoupon(c))
	}
	return answer, nil
}

func (s *CouponServer) GetCoupon(ctx context.Context, req *orderv1.GetCouponRequest) (*orderv1.GetCouponResponse, error) {
	id, err := toID("coupon_id", req.GetCouponId())
	if err != nil {
		return nil, err
	}
	coupon, err := s.coupons.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &orderv1.GetCouponResponse{Coupon: fromCoupon(coupon)}, nil
}

func (s *CouponServer) CreateCoupon(ctx context.Context, req *orderv1.CreateCouponRequest) (*orderv1.CreateCouponResponse, error) {
	terms, err := toCouponTerms(req)
	if err != nil {
		return nil, err
	}
	coupon, err := s.coupons.Create(ctx, terms)
	if err != nil {
		return nil, err
	}
	return &orderv1.CreateCouponResponse{Coupon: fromCoupon(coupon)}, nil
}

func (s *CouponServer) UpdateCoupon(ctx context.Context, req *orderv1.UpdateCouponRequest) (*orderv1.UpdateCouponResponse, error) {
	id, err := toID("coupon_id", req.GetCouponId())
	if err != nil {
		return nil, err
	}
	change, err := toCouponChange(req)
	if err != nil {
		return nil, err
	}
	coupon, err := s.coupons.Update(ctx, id, req.IfVersion, change)
	if err != nil {
		return nil, err
	}
	return &orderv1.UpdateCouponResponse{Coupon: fromCoupon(coupon)}, nil
}

func (s *CouponServer) DeleteCoupon(ctx context.Context, req *orderv1.DeleteCouponRequest) (*orderv1.DeleteCouponResponse, error) {
	id, err := toID("coupon_id", req.GetCouponId())
	if err != nil {
		return nil, err
	}
	if err := s.coupons.Delete(ctx, id, req.IfVersion); err != nil {
		return nil, err
	}
	return &orderv1.DeleteCouponResponse{}, nil
}

var couponTypes = map[domain.CouponType]orderv1.CouponType{
	domain.PercentOff:   orderv1.CouponType_COUPON_TYPE_PERCENT,
	domain.FixedOff:     orderv1.CouponType_COUPON_TYPE_FIXED,
	domain.FreeShipping: orderv1.CouponType_COUPON_TYPE_FREE_SHIPPING,
}

var couponStatuses = map[domain.CouponStatus]orderv1.CouponStatus{
	domain.CouponActive:   orderv1.CouponStatus_COUPON_STATUS_ACTIVE,
	domain.CouponDisabled: orderv1.CouponStatus_COUPON_STATUS_DISABLED,
}

func toCouponTerms(req *orderv1.CreateCouponRequest) (domain.CouponTerms, error) {
	terms := domain.CouponTerms{
		Code: req.GetCode(), Type: named(couponTypes, req.GetType()), Value: req.GetValue(), MinSubtotal: req.GetMinSubtotal(),
		MaxUses: req.GetMaxUses(), MaxUsesPerCustomer: req.GetMaxUsesPerCustomer(), Status: domain.CouponActive,
	}
	if s := req.GetStatus(); s != orderv1.CouponStatus_COUPON_STATUS_UNSPECIFIED {
		terms.Status = named(couponStatuses, s)
	}
	var err error
	if terms.StartsAt, err = toTime("starts_at", req.GetStartsAt()); err != nil {
		return domain.CouponTerms{}, err
	}
	terms.EndsAt, err = toTime("ends_at", req.GetEndsAt())
	return terms, err
}

// toCouponChange returns a function that sets what the request sets, and takes away what it clears.
func toCouponChange(req *orderv1.UpdateCouponRequest) (func(*domain.CouponTerms), error) {
	startsAt, err := toTime("starts_at", req.GetStartsAt())
	if err != nil {
		return nil, err
	}
	endsAt, err := toTime("ends_at", req.GetEndsAt())
	if err != nil {
		return nil, err
	}
	set := map[string]bool{
		"min_subtotal": req.MinSubtotal != nil, "starts_at": req.StartsAt != nil, "ends_at": req.EndsAt != nil,
		"max_uses": req.MaxUses != nil, "max_uses_per_customer": req.MaxUsesPerCustomer != nil,
	}
	cleared := make(map[string]bool)
	for _, name := range req.GetClear() {
		if set[name] {
			return nil, apperr.InvalidField(name, "can't be both set and cleared")
		}
		cleared[name] = true
	}
	return func(t *domain.CouponTerms) {
		if req.Code != nil {
			t.Code = req.GetCode()
		}
		if req.Value != nil {
			t.Value = req.GetValue()
		}
		if req.Status != nil {
			t.Status = named(couponStatuses, req.GetStatus())
		}
		// What is cleared has its zero value in the request.
		replace := func(name string) bool { return set[name] || cleared[name] }
		if replace("min_subtotal") {
			t.MinSubtotal = req.GetMinSubtotal()
		}
		if replace("starts_at") {
			t.StartsAt = startsAt
		}
		if replace("ends_at") {
			t.EndsAt = endsAt
		}
		if replace("max_uses") {
			t.MaxUses = req.GetMaxUses()
		}
		if replace("max_uses_per_customer") {
			t.MaxUsesPerCustomer = req.GetMaxUsesPerCustomer()
		}
	}, nil
}

// toTime returns a time that may be left out.
func toTime(field string, at *timestamppb.Timestamp) (time.Time, error) {
	if at == nil {
		return time.Time{}, nil
	}
	if err := at.CheckValid(); err != nil {
		return time.Time{}, apperr.InvalidField(field, "is not a time")
	}
	return at.AsTime(), nil
}

func fromCoupon(c domain.Coupon) *orderv1.Coupon {
	return &orderv1.Coupon{
		Id: c.ID.String(), Code: c.Code, Type: couponTypes[c.Type], Value: c.Value,
		MinSubtotal: limit(c.MinSubtotal), MaxUses: limit(c.MaxUses), MaxUsesPerCustomer: limit(c.MaxUsesPerCustomer),
		StartsAt: moment(c.StartsAt), EndsAt: moment(c.EndsAt), Uses: c.Uses, Status: couponStatuses[c.Status], Version: c.Version,
	}
}

// limit is unset where there is none.
func limit(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// moment is unset where there is none.
func moment(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}
