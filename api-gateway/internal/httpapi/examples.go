package httpapi

import (
	"reflect"
	"time"
)

// The examples of answers in the OpenAPI document. They are values of the very types that are answered, and tell one story:
// Ada buys two bells. Those of requests are made of the tags of their types.

const (
	exampleID         = "01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e01"
	exampleProductID  = "01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e11"
	exampleCategoryID = "01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e21"
	exampleUserID     = "01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e31"
	exampleItemID     = "01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e41"
	exampleRefundID   = "01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e51"
	exampleDeliveryID = "01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e61"
	exampleJWT        = "header.payload.signature"
	exampleOpaque     = "an-opaque-string"
	exampleRequestID  = "5f0e6f3a-54c1-4d1e-8f53-0d6f6ff1c1de"
)

var (
	exampleTime  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	exampleLater = exampleTime.Add(2 * time.Second)
	// exampleExpiry is 30 days after: so long do sessions and carts live that nobody uses.
	exampleExpiry = exampleLater.AddDate(0, 0, 30)
)

func euros(cents int64) Money { return Money{Amount: cents, Currency: "EUR"} }

var exampleUser = User{
	ID: exampleUserID, Email: "ada@example.com", Name: "Ada Lovelace", Role: "customer", Status: "active",
	CreatedAt: exampleTime, UpdatedAt: exampleTime,
}

var exampleRenamedUser = func() User {
	u := exampleUser
	u.Name, u.Email, u.UpdatedAt = "Ada King", "ada.king@example.com", exampleLater
	return u
}()

var exampleStaff = func() User {
	u := exampleUser
	u.ID, u.Role, u.UpdatedAt = exampleID, "staff", exampleLater
	return u
}()

var exampleSignIn = SignIn{
	User: exampleUser, AccessToken: exampleJWT, RefreshToken: exampleOpaque, TokenType: "Bearer", ExpiresIn: 900,
}

var exampleSession = Session{
	ID: exampleID, UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", IP: "198.51.100.7",
	CreatedAt: exampleTime, LastUsedAt: exampleLater, ExpiresAt: exampleExpiry, Current: true,
}

var exampleAddress = Address{
	ID: exampleID, Label: "Home", Recipient: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH",
	Country: "GB", Phone: "+44 20 7930 0000", IsDefault: true,
}

var exampleOffice = func() Address {
	a := exampleAddress
	a.Label, a.Line2 = "Office", "2nd floor"
	return a
}()

var exampleCategory = Category{
	ID: exampleCategoryID, Slug: "bicycles", Name: "Bicycles", Description: "To ride in town and beyond.", Children: []Category{}, ProductCount: 12, Version: 1,
}

var exampleChangedCategory = func() Category {
	c := exampleCategory
	c.Name, c.Version = "Bicycles and more", 2
	return c
}()

var exampleProduct = Product{
	ID: exampleProductID, SKU: "BELL-1", Slug: "brass-bell", Name: "Brass bell", ShortDescription: "It rings.",
	Description: "A bell of brass for every handlebar.", Price: euros(2499), SalePrice: &Money{Amount: 1999, Currency: "EUR"}, Discount: &Discount{Type: "percent", Value: 20},
	CategoryIDs: []string{exampleCategoryID}, Images: []Image{{URL: "https://images.shop.example/bell-1.jpg", Alt: "A bell of brass."}},
	Attributes: map[string]string{"material": "brass"}, Status: "active", Stock: Stock{Available: 40}, Version: 7,
	CreatedAt: exampleTime, UpdatedAt: exampleLater,
}

var exampleStock = func() Stock {
	onHand, reserved := int64(45), int64(5)
	return Stock{Available: 40, OnHand: &onHand, Reserved: &reserved}
}()

var exampleStaffProduct = func() Product {
	p := exampleProduct
	p.Stock = exampleStock
	return p
}()

var exampleStockAdjustment = StockAdjustment{
	ID: exampleID, Delta: -2, Reason: "order confirmed", Reference: exampleID, Actor: "order-service", OnHandAfter: 45, At: exampleLater,
}

var exampleNewProduct = Product{
	ID: exampleProductID, SKU: "BIKE-1", Slug: "city-bicycle", Name: "City bicycle", ShortDescription: "Seven gears, a basket and a bell.",
	Price: euros(1999), CategoryIDs: []string{exampleCategoryID},
	Images:     []Image{{URL: "https://images.shop.example/bike-1.jpg", Alt: "A green city bicycle."}},
	Attributes: map[string]string{"colour": "green"}, Status: "draft", Stock: Stock{OnHand: new(int64), Reserved: new(int64)}, Version: 1,
	CreatedAt: exampleTime, UpdatedAt: exampleTime,
}

var exampleCart = Cart{
	Items: []CartItem{{
		ProductID: exampleProductID, SKU: "BELL-1", Name: "Brass bell", Image: "https://images.shop.example/bell-1.jpg", Quantity: 2,
		UnitPrice: euros(1999), LineTotal: euros(3998), UnitPriceWhenAdded: euros(2499), PriceChanged: true, Available: true,
	}},
	ItemCount: 2, Subtotal: euros(3998), Currency: "EUR", Version: 3, ExpiresAt: &exampleExpiry, PricesAsOf: &exampleTime,
}

var exampleShippingMethod = ShippingMethod{ID: "standard", Name: "Standard", Price: euros(490), MinDays: 2, MaxDays: 4}

// exampleOrderWith is the order in a state that it came into after it was placed.
func exampleOrderWith(payment, status, by, note string) Order {
	o := Order{
		ID: exampleID, Number: "7K3M9-QXD2V", UserID: exampleUserID, Status: status,
		Items: []OrderItem{{
			ID: exampleItemID, ProductID: exampleProductID, SKU: "BELL-1", Name: "Brass bell", Quantity: 2,
			UnitPrice: euros(1999), LineTotal: euros(3998),
		}},
		Subtotal: euros(3998), Discount: euros(0), Shipping: euros(490), Total: euros(4488), Currency: "EUR",
		ShippingAddress: ShippingAddress{Recipient: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
		ShippingMethod:  exampleShippingMethod.ID,
		Payment:         OrderPayment{Status: payment, Method: "card", Provider: "test", Reference: "pay_4711"},
		History:         []HistoryEntry{{Status: "pending", At: exampleTime, By: exampleUserID}},
		Version:         1, CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	if status != "pending" {
		o.History = append(o.History, HistoryEntry{Status: status, At: exampleLater, By: by, Note: note})
		o.Version, o.UpdatedAt = 2, exampleLater
	}
	return o
}

var (
	exampleOrder          = exampleOrderWith("captured", "confirmed", "system", "")
	exampleUnsettledOrder = exampleOrderWith("pending", "pending", "", "")
	exampleCancelledOrder = exampleOrderWith("voided", "cancelled", exampleUserID, "Ordered twice by mistake.")
	exampleEditedOrder    = exampleOrderWith("none", "pending", "", "")
)

var exampleShippedOrder = func() Order {
	o := exampleOrderWith("captured", "shipped", exampleUserID, "Handed over to the carrier.")
	o.Tracking = "https://carrier.example/track/4711"
	return o
}()

var exampleRefundedOrder = func() Order {
	o := exampleOrderWith("partially_refunded", "delivered", exampleUserID, "")
	o.Refunds = []Refund{{
		ID: exampleRefundID, Amount: euros(1999), Items: []RefundedItem{{ItemID: exampleItemID, Quantity: 1}},
		Reason: "One bell was broken.", Restock: false, By: exampleUserID, At: exampleLater,
	}}
	o.Payment.Refunded = &o.Refunds[0].Amount
	return o
}()

var exampleQuote = Quote{
	Items: []QuotedItem{{
		ProductID: exampleProductID, SKU: "BELL-1", Name: "Brass bell", Quantity: 2, UnitPrice: euros(1999), LineTotal: euros(3998),
	}},
	Subtotal: euros(3998), Discount: euros(400), Shipping: euros(490), Total: euros(4088), Currency: "EUR",
	Obstacles: []Obstacle{{
		Code: "out_of_stock", Message: "only 1 left", Location: "body.items[0]", ProductID: exampleProductID, Available: new(int64(1)),
	}},
}

var exampleCoupon = Coupon{
	ID: exampleID, Code: "SPRING-10", Type: "percent", Value: 10, MinSubtotal: new(int64(2500)), EndsAt: &exampleExpiry,
	MaxUses: new(int64(1000)), MaxUsesPerCustomer: new(int64(1)), Uses: 42, Status: "active", Version: 1,
}

var exampleEndedCoupon = func() Coupon {
	c := exampleCoupon
	c.MaxUsesPerCustomer, c.Status, c.Version = nil, "disabled", 2
	return c
}()

var exampleEndpoint = WebhookEndpoint{
	ID: exampleID, URL: "https://erp.example/shop-events", Events: []string{"order.confirmed"}, Status: "active",
	CreatedAt: exampleTime, UpdatedAt: exampleTime, Version: 1,
}

var exampleDisabledEndpoint = func() WebhookEndpoint {
	e := exampleEndpoint
	e.Status, e.UpdatedAt, e.Version = "disabled", exampleLater, 2
	return e
}()

var exampleDelivery = WebhookDelivery{
	ID: exampleDeliveryID, EventID: exampleRefundID, EventType: "order.confirmed", OrderID: exampleID, Status: "delivered", Attempts: 1,
	LastStatus: new(int32(204)), LastAttemptAt: &exampleLater, CreatedAt: exampleTime,
}

var exampleRedelivery = func() WebhookDelivery {
	d := exampleDelivery
	d.Status, d.NextAttemptAt = "pending", &exampleExpiry
	return d
}()

var exampleFinding = Finding{
	ID: exampleRefundID, Kind: "reservation_without_order", OrderID: exampleID, Reference: exampleID,
	Detail: "The order is cancelled, and its reservation is active.", Status: "open", Repairable: true, FirstSeenAt: exampleTime, LastSeenAt: exampleTime,
}

var exampleRepairedFinding = func() Finding {
	f := exampleFinding
	f.Status, f.Repairable, f.ResolvedAt = "repaired", false, &exampleTime
	return f
}()

var exampleReady = Readiness{Ready: true, Dependencies: []Dependency{{Name: "user-service", Up: true, Optional: true, Since: exampleTime}}}

var exampleUnready = Readiness{Draining: true, Dependencies: exampleReady.Dependencies}

// examples are by the type of the body that is answered.
var examples = func() map[reflect.Type]any {
	all := make(map[reflect.Type]any)
	for _, example := range []any{
		exampleUser, pageOf(exampleUser), exampleSignIn, pageOf(exampleSession), exampleAddress, pageOf(exampleAddress),
		KeySet{Keys: []map[string]any{{
			"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
		}}},
		exampleCategory, List[Category]{Items: []Category{exampleCategory}}, exampleProduct, pageOf(exampleProduct), exampleStock,
		pageOf(exampleStockAdjustment),
		exampleCart, List[ShippingMethod]{Items: []ShippingMethod{exampleShippingMethod}}, exampleOrder, pageOf(exampleOrder),
		exampleQuote, exampleCoupon, pageOf(exampleCoupon), exampleFinding, pageOf(exampleFinding),
		exampleEndpoint, pageOf(exampleEndpoint), NewWebhookEndpoint{exampleEndpoint, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw8tYVb4k1mDQ="},
		exampleDelivery, pageOf(exampleDelivery),
		Liveness{Status: "alive"}, exampleReady,
	} {
		all[reflect.TypeOf(example)] = example
	}
	return all
}()

func pageOf[T any](item T) Page[T] {
	return Page[T]{Items: []T{item}, NextPageToken: exampleOpaque}
}

// An import and its answer, a line each.
const (
	exampleImport = `{"sku":"BELL-1","price":{"amount":2399,"currency":"EUR"}}` + "\n" +
		`{"sku":"BIKE-1","name":"City bicycle","price":{"amount":1999,"currency":"EUR"},"status":"active"}` + "\n" +
		`{"sku":"BIKE-2","name":"Racing bicycle"}` + "\n"
	exampleImportAnswer = `{"line":1,"status":"updated","id":"` + exampleProductID + `"}` + "\n" +
		`{"line":2,"status":"created","id":"` + exampleID + `"}` + "\n" +
		`{"line":3,"status":"failed","code":"validation_failed","detail":"price: It is required."}` + "\n" +
		`{"summary":{"lines":3,"created":1,"updated":1,"failed":1}}` + "\n"
)
