package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	orderv1 "shop.example/proto/order/v1"
)

// Coupon makes orders cheaper.
type Coupon struct {
	ID                 string     `json:"id" format:"uuid"`
	Code               string     `json:"code" doc:"In capitals; customers may write it as they like."`
	Type               string     `json:"type" enum:"percent,fixed,free_shipping"`
	Value              int64      `json:"value" doc:"A whole percentage (1 to 100), or minor units; 0 for free_shipping."`
	MinSubtotal        *int64     `json:"min_subtotal,omitempty" doc:"Minor units that an order must come to before the discount; absent for none."`
	StartsAt           *time.Time `json:"starts_at,omitempty"`
	EndsAt             *time.Time `json:"ends_at,omitempty" doc:"At this moment it is over; never if it is absent."`
	MaxUses            *int64     `json:"max_uses,omitempty" doc:"In all; absent for no limit."`
	MaxUsesPerCustomer *int64     `json:"max_uses_per_customer,omitempty" doc:"Absent for no limit."`
	Uses               int64      `json:"uses" doc:"By orders that were not cancelled. It changes without a new version."`
	Status             string     `json:"status" enum:"active,disabled"`
	Version            int64      `json:"version"`
}

type listCouponsOutput struct{ Body Page[Coupon] }

type createCouponInput struct {
	Body struct {
		Code               string              `json:"code" minLength:"1" maxLength:"50" doc:"Letters, digits and hyphens." example:"SPRING-10"`
		Type               string              `json:"type" enum:"percent,fixed,free_shipping" example:"percent"`
		Value              int64               `json:"value,omitempty" minimum:"0" doc:"A whole percentage (1 to 100), or minor units; none for free_shipping." example:"10"`
		MinSubtotal        Nullable[int64]     `json:"min_subtotal,omitempty" minimum:"0" doc:"Minor units." example:"2500"`
		StartsAt           Nullable[time.Time] `json:"starts_at,omitempty" doc:"At once unless given."`
		EndsAt             Nullable[time.Time] `json:"ends_at,omitempty" doc:"Never unless given." example:"2026-03-31T22:00:00Z"`
		MaxUses            Nullable[int64]     `json:"max_uses,omitempty" minimum:"1" example:"1000"`
		MaxUsesPerCustomer Nullable[int64]     `json:"max_uses_per_customer,omitempty" minimum:"1" example:"1"`
		Status             string              `json:"status,omitempty" enum:"active,disabled" doc:"active unless given."`
	} `nameHint:"NewCoupon"`
}

type updateCouponInput struct {
	ByID
	IfMatch
	Body struct {
		Code               *string             `json:"code,omitempty" minLength:"1" maxLength:"50"`
		Value              *int64              `json:"value,omitempty" minimum:"0"`
		MinSubtotal        Nullable[int64]     `json:"min_subtotal,omitempty" minimum:"0" doc:"null for none."`
		StartsAt           Nullable[time.Time] `json:"starts_at,omitempty" doc:"null for at once."`
		EndsAt             Nullable[time.Time] `json:"ends_at,omitempty" doc:"null for never."`
		MaxUses            Nullable[int64]     `json:"max_uses,omitempty" minimum:"1" doc:"null for no limit."`
		MaxUsesPerCustomer Nullable[int64]     `json:"max_uses_per_customer,omitempty" minimum:"1" doc:"null for no limit."`
		Status             string              `json:"status,omitempty" enum:"active,disabled" example:"disabled"`
	} `nameHint:"CouponChange"`
}

type deleteCouponInput struct {
	ByID
	IfMatch
}

func (s *Server) registerCoupons() {
	tags, path := []string{"coupons"}, base+"/coupons"
	register(s, huma.Operation{
		OperationID: "list-coupons", Method: http.MethodGet, Path: path, Summary: "The coupons, newest first", Tags: tags,
	}, s.listCoupons)
	register(s, huma.Operation{
		OperationID: "create-coupon", Method: http.MethodPost, Path: path, DefaultStatus: http.StatusCreated, Summary: "Make a coupon", Tags: tags,
		Description: "The discount is rounded half to even, and never more than the subtotal of the order.",
	}, s.createCoupon, "code_taken")
	register(s, huma.Operation{
		OperationID: "get-coupon", Method: http.MethodGet, Path: path + "/{id}", Summary: "A coupon", Tags: tags,
	}, s.getCoupon)
	register(s, huma.Operation{
		OperationID: "update-coupon", Method: http.MethodPatch, Path: path + "/{id}", Summary: "Change a coupon", Tags: tags,
		Description: "What is left out stays as it is, `null` takes a limit away; the type stays. Orders keep the discount that they were placed with.",
		Metadata:    map[string]any{metaExample: exampleEndedCoupon},
	}, s.updateCoupon, "code_taken")
	register(s, huma.Operation{
		OperationID: "delete-coupon", Method: http.MethodDelete, Path: path + "/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Delete a coupon", Tags: tags,
		Description: "Orders that used it keep their discount, and its code is free.",
	}, s.deleteCoupon)
}

func (s *Server) listCoupons(ctx context.Context, in *Paging) (*listCouponsOutput, error) {
	answer, err := s.services.Coupons.ListCoupons(ctx, &orderv1.ListCouponsRequest{
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listCouponsOutput{Body: Page[Coupon]{
		Items: convertAll(answer.GetCoupons(), couponOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) createCoupon(ctx context.Context, in *createCouponInput) (*created[Coupon], error) {
	b := in.Body
	answer, err := s.services.Coupons.CreateCoupon(ctx, &orderv1.CreateCouponRequest{
		Code: b.Code, Type: enumValue[orderv1.CouponType](orderv1.CouponType_value, "COUPON_TYPE_", b.Type), Value: b.Value,
		MinSubtotal: b.MinSubtotal.Value, StartsAt: timestamp(b.StartsAt.Value), EndsAt: timestamp(b.EndsAt.Value),
		MaxUses: b.MaxUses.Value, MaxUsesPerCustomer: b.MaxUsesPerCustomer.Value, Status: couponStatus(b.Status),
	})
	if err != nil {
		return nil, err
	}
	c := couponOf(answer.GetCoupon())
	tag, err := etagOf(c.Version, c)
	return &created[Coupon]{Location: locationOf("coupons", c.ID), ETag: tag, Body: c}, err
}

func (s *Server) getCoupon(ctx context.Context, in *ByID) (*changed[Coupon], error) {
	answer, err := s.services.Coupons.GetCoupon(ctx, &orderv1.GetCouponRequest{CouponId: in.ID})
	if err != nil {
		return nil, err
	}
	return changedCoupon(answer.GetCoupon())
}

func (s *Server) updateCoupon(ctx context.Context, in *updateCouponInput) (*changed[Coupon], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	b := in.Body
	request := &orderv1.UpdateCouponRequest{
		CouponId: in.ID, IfVersion: version, Code: b.Code, Value: b.Value,
		MinSubtotal: b.MinSubtotal.Value, StartsAt: timestamp(b.StartsAt.Value), EndsAt: timestamp(b.EndsAt.Value),
		MaxUses: b.MaxUses.Value, MaxUsesPerCustomer: b.MaxUsesPerCustomer.Value,
	}
	if b.Status != "" {
		request.Status = couponStatus(b.Status).Enum()
	}
	for _, field := range []struct {
		name   string
		isNull bool
	}{
		{"min_subtotal", b.MinSubtotal.isNull()}, {"starts_at", b.StartsAt.isNull()}, {"ends_at", b.EndsAt.isNull()},
		{"max_uses", b.MaxUses.isNull()}, {"max_uses_per_customer", b.MaxUsesPerCustomer.isNull()},
	} {
		if field.isNull {
			request.Clear = append(request.Clear, field.name)
		}
	}
	answer, err := s.services.Coupons.UpdateCoupon(ctx, request)
	if err != nil {
		return nil, err
	}
	return changedCoupon(answer.GetCoupon())
}

func (s *Server) deleteCoupon(ctx context.Context, in *deleteCouponInput) (*noOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	_, err = s.services.Coupons.DeleteCoupon(ctx, &orderv1.DeleteCouponRequest{CouponId: in.ID, IfVersion: version})
	return &noOutput{}, err
}

// changedCoupon answers with a coupon, whose uses change without its version.
func changedCoupon(coupon *orderv1.Coupon) (*changed[Coupon], error) {
	c := couponOf(coupon)
	tag, err := etagOf(c.Version, c)
	return &changed[Coupon]{ETag: tag, Body: c}, err
}

func couponStatus(name string) orderv1.CouponStatus {
	return enumValue[orderv1.CouponStatus](orderv1.CouponStatus_value, "COUPON_STATUS_", name)
}

func couponOf(c *orderv1.Coupon) Coupon {
	return Coupon{
		ID: c.GetId(), Code: c.GetCode(), Type: enumName(c.GetType(), "COUPON_TYPE_"), Value: c.GetValue(), MinSubtotal: c.MinSubtotal,
		StartsAt: optionalInstant(c.GetStartsAt()), EndsAt: optionalInstant(c.GetEndsAt()), MaxUses: c.MaxUses,
		MaxUsesPerCustomer: c.MaxUsesPerCustomer, Uses: c.GetUses(), Status: enumName(c.GetStatus(), "COUPON_STATUS_"), Version: c.GetVersion(),
	}
}
