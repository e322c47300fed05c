package rpc

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"shop.example/order-service/internal/domain"
	orderv1 "shop.example/proto/order/v1"
)

// one checks that two enums have the same members: each has exactly one counterpart, and only the unspecified one has none.
func one[K ~string, V interface {
	comparable
	protoreflect.Enum
}](t *testing.T, pairs map[K]V, members ...K) {
	t.Helper()
	var none V
	values := none.Descriptor().Values()
	if len(pairs) != len(members) || len(members) != values.Len()-1 {
		t.Errorf("%s: %d pairs of %d members of the domain and %d of the contract", none.Descriptor().Name(), len(pairs), len(members), values.Len()-1)
	}
	for _, member := range members {
		value, ok := pairs[member]
		if !ok || value == none {
			t.Errorf("%s: %q has no value", none.Descriptor().Name(), member)
		}
		if back := named(pairs, value); back != member {
			t.Errorf("%s: %q comes back as %q", none.Descriptor().Name(), member, back)
		}
	}
	if back := named(pairs, none); back != "" {
		t.Errorf("%s: the unspecified value means %q", none.Descriptor().Name(), back)
	}
}

func TestEnumsMeanTheSame(t *testing.T) {
	t.Parallel()
	one(t, statuses, domain.Pending, domain.Confirmed, domain.Processing, domain.Shipped, domain.Delivered, domain.Cancelled, domain.Refunded)
	one(t, paymentStatuses, domain.PaymentNone, domain.PaymentPending, domain.PaymentAuthorized, domain.PaymentCaptured,
		domain.PaymentVoided, domain.PaymentPartiallyRefunded, domain.PaymentRefunded, domain.PaymentFailed)
	one(t, methods, domain.Card, domain.CashOnDelivery)
	one(t, couponTypes, domain.PercentOff, domain.FixedOff, domain.FreeShipping)
	one(t, couponStatuses, domain.CouponActive, domain.CouponDisabled)
	one(t, endpointStatuses, domain.EndpointActive, domain.EndpointDisabled)
	one(t, deliveryStatuses, domain.DeliveryPending, domain.DeliveryDelivered, domain.DeliveryFailed)
	for status, want := range map[domain.Status]orderv1.OrderStatus{
		domain.Pending: orderv1.OrderStatus_ORDER_STATUS_PENDING, domain.Shipped: orderv1.OrderStatus_ORDER_STATUS_SHIPPED,
		domain.Refunded: orderv1.OrderStatus_ORDER_STATUS_REFUNDED,
	} {
		if statuses[status] != want {
			t.Errorf("%s is %s, want %s", status, statuses[status], want)
		}
	}
	for status := range statuses {
		if !status.Valid() {
			t.Errorf("%q is no state of an order", status)
		}
	}
}
