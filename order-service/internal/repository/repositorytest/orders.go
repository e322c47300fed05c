package repositorytest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// full returns an order that has something in every field.
func full(t *testing.T) domain.Snapshot {
	t.Helper()
	o := newOrder(t, uuid.New(), noon).Snapshot()
	o.Items = []domain.Item{
		// Neither by id nor by name in order: the order of the lines is the customer's.
		{ID: uuid.Must(uuid.NewV7()), ProductID: uuid.New(), SKU: "Z", Name: "Zebra «grün» 🦓", Quantity: 2, UnitPrice: eur(1500), LineTotal: eur(3000)},
		{ID: uuid.New(), ProductID: uuid.New(), SKU: "A", Name: "Apple", Quantity: 1, UnitPrice: eur(700), LineTotal: eur(700)},
		{ID: uuid.Must(uuid.NewV7()), ProductID: uuid.New(), SKU: "M", Name: "Gift", Quantity: 1 << 20, UnitPrice: eur(0), LineTotal: eur(0)},
	}
	o.Subtotal, o.Discount, o.Shipping, o.Total = eur(3700), eur(370), eur(490), eur(3820)
	o.CouponCode, o.FromCart = "SPRING", true
	o.Payment = domain.Payment{
		Status: domain.PaymentPending, Method: domain.Card, Provider: "test", Reference: "pay_1", Attempt: 3, AtCheckout: true,
		Request: uuid.New(),
	}
	o.Tracking = "https://parcel.example/1"
	o.Refunds = []domain.Refund{{
		ID: uuid.New(), Status: domain.RefundFailed, Amount: eur(1500), Items: []domain.RefundedItem{{ItemID: o.Items[0].ID, Quantity: 1}},
		Reason: "“kaputt”", Restock: true, By: "staff", At: noon.Add(time.Minute),
	}, {ID: uuid.New(), Status: domain.RefundDone, Amount: eur(1), Reason: "late", Restocked: true, By: domain.System, At: noon.Add(time.Hour)}}
	o.Version = 7
	o.UpdatedAt = noon.Add(time.Hour + 123456*time.Microsecond)
	return o
}

func everyField(t *testing.T, s Store) {
	want := full(t)
	begin(t, s, domain.RestoreOrder(want))
	expect(t, "after Begin", read(t, s, want.ID), want)

	partly, failed, rest := uuid.New(), uuid.New(), uuid.New()
	refund := func(id uuid.UUID, items []domain.RefundedItem) func(*domain.Order) error {
		return func(o *domain.Order) error {
			_, err := o.Refund(domain.RefundWish{ID: id, Items: items, Reason: "“kaputt”", Restock: items != nil, By: "staff"}, noon.Add(time.Hour))
			return err
		}
	}
	for i, change := range []func(*domain.Order) error{
		func(o *domain.Order) error { o.BegunBy(partly); return o.Confirm("pay_2", noon.Add(2*time.Hour)) },
		func(o *domain.Order) error { o.MissStock(noon.Add(2 * time.Hour)); return nil },
		func(o *domain.Order) error {
			return o.Advance(domain.Processing, "staff", "packed", "https://parcel.example/1", noon.Add(3*time.Hour))
		},
		refund(partly, []domain.RefundedItem{{ItemID: want.Items[1].ID, Quantity: 1}, {ItemID: want.Items[0].ID, Quantity: 1}}),
		func(o *domain.Order) error { return o.FinishRefund(partly, noon.Add(3*time.Hour)) },
		func(o *domain.Order) error { return o.Restocked(partly) },
		refund(failed, nil),
		func(o *domain.Order) error { return o.FailRefund(failed, noon.Add(3*time.Hour)) },
		refund(rest, nil),
		func(o *domain.Order) error {
			return o.Cancel("somebody", "too late, “sorry”", noon.Add(3*time.Hour))
		},
		func(o *domain.Order) error {
			o.FindStock()
			return o.FinishRefund(rest, noon.Add(4*time.Hour))
		},
	} {
		model := domain.RestoreOrder(want)
		if err := change(model); err != nil {
			t.Fatal(err)
		}
		want = model.Snapshot()
		changed, _, err := s.Decide(t.Context(), want.ID, usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
			return usecase.Change{}, change(o)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("change %d", i)
		expect(t, "what Decide returns", changed.Snapshot(), want)
		expect(t, "what is read", read(t, s, want.ID), want)
	}
	listed, err := s.ListOrders(t.Context(), usecase.Filter{UserID: want.UserID}, uuid.Nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "what is listed", listed, []domain.Snapshot{want})
}

func nothingOptional(t *testing.T, s Store) {
	want := newOrder(t, uuid.New(), noon).Snapshot()
	want.ShippingAddress = domain.Address{Recipient: "A", Line1: "1", City: "B", PostalCode: "1", Country: "DE"}
	begin(t, s, domain.RestoreOrder(want))
	expect(t, "order", read(t, s, want.ID), want)
}

func copies(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	want := slices.Clone(o.Snapshot().Items)
	begin(t, s, o)
	o.Snapshot().Items[0].Name = "changed after it was stored"
	got := read(t, s, o.ID())
	got.Items[0].Name = "changed after it was read"
	got.History[0].Note = "changed after it was read"
	_, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		o.Snapshot().Items[0].Name = "changed by a decision that failed"
		return usecase.Change{}, errors.New("it failed")
	})
	if err == nil {
		t.Error("the decision did not fail")
	}
	expect(t, "items", read(t, s, o.ID()).Items, want)
	expect(t, "note", read(t, s, o.ID()).History[0].Note, "")
}

func unknownOrder(t *testing.T, s Store) {
	begin(t, s, newOrder(t, uuid.New(), noon))
	if _, err := s.Order(t.Context(), uuid.New()); !errors.Is(err, domain.ErrOrderMissing) {
		t.Errorf("order: %v, want %v", err, domain.ErrOrderMissing)
	}
	for _, held := range []usecase.Lease{{}, {Epoch: 1}} {
		_, _, err := s.Decide(t.Context(), uuid.New(), held, changeTo(usecase.Change{}))
		if !errors.Is(err, domain.ErrOrderMissing) {
			t.Errorf("decide with %v: %v, want %v", held, err, domain.ErrOrderMissing)
		}
	}
}
