package usecase

import (
	"context"
	"log/slog"
	"time"

	"shop.example/order-service/internal/domain"
)

const (
	// leaseFor is how long a driver may be silent before another takes over. It is longer than the 10 s that a request may
	// take, so that nobody is overtaken who is still at it.
	leaseFor = 15 * time.Second
	// firstLook is when the watchdog looks at a new order: a checkout takes some 50 ms, so one that is still open after 2 s
	// is in trouble, or in a queue.
	firstLook = 2 * time.Second
	// reservationTTL outlives every use of a reservation: an order may wait for a payment window until somebody begins to pay
	// it, then for the provider's word, and then, paid, for a product service that is away. It ends by itself only if this
	// service is gone for good, and must not do so when both come back after hours and the sweeper is faster than the jobs.
	reservationTTL = domain.PaymentWindow + longestPayment + 6*time.Hour
	// bookkeeping bounds what must still be written down when the request's own time is up.
	bookkeeping = 2 * time.Second
)

// Checkout makes orders of carts and gets them paid. All its steps can be repeated under the order's id, so whoever holds
// the lease of an order, a request or the watchdog (see Settle), can go on where another stopped.
type Checkout struct {
	attempts AttemptStore
	keys     KeyStore
	orders   OrderStore
	coupons  CouponFinder
	users    Users
	books    Addresses
	carts    Carts
	catalog  Catalog
	stock    Stock
	payments providers
	shipping domain.ShippingMethods
	now      func() time.Time
	log      *slog.Logger
	// stockMissing counts the paid orders for which there are no pieces.
	stockMissing func(context.Context)
}

// CheckoutParts are what a Checkout works with.
type CheckoutParts struct {
	Attempts  AttemptStore
	Keys      KeyStore
	Orders    OrderStore
	Coupons   CouponFinder
	Users     Users
	Addresses Addresses
	Carts     Carts
	Catalog   Catalog
	Stock     Stock
	// Payments is where payments begin; OtherPayments are where those of older orders have begun.
	Payments      Payments
	OtherPayments []Payments
	Shipping      domain.ShippingMethods
	Now           func() time.Time
	Log           *slog.Logger
	// StockMissing is told of each paid order whose pieces are gone, once; nil if nobody counts them.
	StockMissing func(context.Context)
}

// NewCheckout returns a checkout.
func NewCheckout(p CheckoutParts) *Checkout {
	if p.StockMissing == nil {
		p.StockMissing = func(context.Context) {}
	}
	return &Checkout{
		attempts: p.Attempts, keys: p.Keys, orders: p.Orders, coupons: p.Coupons, users: p.Users, books: p.Addresses, carts: p.Carts, catalog: p.Catalog,
		stock: p.Stock, payments: providers{p.Payments, p.OtherPayments}, shipping: p.Shipping, now: p.Now, log: p.Log, stockMissing: p.StockMissing,
	}
}
