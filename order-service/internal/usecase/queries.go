package usecase

import (
	"context"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/pagetoken"
)

// OrderReader reads orders.
type OrderReader interface {
	// Order returns an order, or domain.ErrOrderMissing.
	Order(ctx context.Context, id uuid.UUID) (*domain.Order, error)
	// ListOrders returns up to limit orders that match, newest first, after the one with the id after unless that is zero.
	ListOrders(ctx context.Context, f Filter, after uuid.UUID, limit int) ([]domain.Snapshot, error)
	// CountOrders returns how many match.
	CountOrders(ctx context.Context, f Filter) (int64, error)
}

// Filter selects orders. Zero members select all.
type Filter struct {
	UserID uuid.UUID
	Status domain.Status
}

// Queries show orders to those who may see them.
type Queries struct {
	orders   OrderReader
	shipping domain.ShippingMethods
}

// NewQueries returns the queries.
func NewQueries(orders OrderReader, shipping domain.ShippingMethods) *Queries {
	return &Queries{orders: orders, shipping: shipping}
}

// ShippingMethods returns the ways of delivery.
func (q *Queries) ShippingMethods() domain.ShippingMethods { return q.shipping }

// Order returns an order. Another customer's does not exist for the caller.
func (q *Queries) Order(ctx context.Context, caller auth.Principal, id uuid.UUID) (domain.Snapshot, error) {
	order, err := q.orders.Order(ctx, id)
	if err != nil {
		return domain.Snapshot{}, err
	}
	if !order.VisibleTo(caller.UserID, caller.IsStaff()) {
		return domain.Snapshot{}, domain.ErrOrderMissing
	}
	return order.Snapshot(), nil
}

// ListOrders asks for a page of orders.
type ListOrders struct {
	Filter
	PageSize     int
	PageToken    string
	IncludeTotal bool
}

// OrderPage is a page of orders.
type OrderPage struct {
	Orders        []domain.Snapshot
	NextPageToken string
	// Total is how many there are in all, nil unless it was asked for.
	Total *int64
}

// List returns a page of the caller's orders, newest first, or of everybody's for staff.
func (q *Queries) List(ctx context.Context, caller auth.Principal, l ListOrders) (OrderPage, error) {
	if !caller.IsStaff() {
		if l.UserID != uuid.Nil && l.UserID.String() != caller.UserID {
			return OrderPage{}, apperr.New(apperr.PermissionDenied, apperr.PermissionDenied.DefaultReason(), "Only staff may list the orders of others.")
		}
		own, err := uuid.Parse(caller.UserID)
		if err != nil {
			return OrderPage{}, err
		}
		l.UserID = own
	}
	var after uuid.UUID
	if l.PageToken != "" {
		if err := pagetoken.Decode(l.PageToken, l.Filter, &after); err != nil {
			return OrderPage{}, err
		}
	}
	// One more than the page holds tells whether there is another one.
	orders, err := q.orders.ListOrders(ctx, l.Filter, after, l.PageSize+1)
	if err != nil {
		return OrderPage{}, err
	}
	page := OrderPage{Orders: orders}
	if len(orders) > l.PageSize {
		page.Orders = orders[:l.PageSize]
		if page.NextPageToken, err = pagetoken.Encode(l.Filter, page.Orders[l.PageSize-1].ID); err != nil {
			return OrderPage{}, err
		}
	}
	if l.IncludeTotal {
		total, err := q.orders.CountOrders(ctx, l.Filter)
		if err != nil {
			return OrderPage{}, err
		}
		page.Total = &total
	}
	return page, nil
}
