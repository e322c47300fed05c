package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	cartv1 "shop.example/proto/cart/v1"
	moneyv1 "shop.example/proto/money/v1"
	orderv1 "shop.example/proto/order/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

func TestRegisterAndLogin(t *testing.T) {
	t.Parallel()
	s := setup(t)
	user := &userv1.User{
		Id: customerID, Email: "ada@example.com", Name: "Ada", Role: userv1.Role_ROLE_CUSTOMER, Status: userv1.UserStatus_USER_STATUS_ACTIVE,
		CreatedAt: &timestamppb.Timestamp{Seconds: 1772366400}, UpdatedAt: &timestamppb.Timestamp{Seconds: 1772366400},
	}
	tokens := &userv1.Tokens{AccessToken: "at", RefreshToken: "rt", ExpiresIn: 900}
	s.on("Register", &userv1.RegisterResponse{User: user, Tokens: tokens})
	s.on("Logout", &userv1.LogoutResponse{})
	a := s.call(t, "POST", "/api/v1/auth/register", goodRegistration, "User-Agent: Test/1")
	want := map[string]any{
		"user": map[string]any{
			"id": customerID, "email": "ada@example.com", "name": "Ada", "role": "customer", "status": "active",
			"created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:00:00Z",
		},
		"access_token": "at", "refresh_token": "rt", "token_type": "Bearer", "expires_in": 900.0,
	}
	if diff := cmp.Diff(want, a.json); diff != "" || a.status != 201 || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v: %s", a.status, a.header, diff)
	}
	if device := asked[*userv1.RegisterRequest](t, s, "Register").GetDevice(); device.GetUserAgent() != "Test/1" || device.GetIp() != "127.0.0.1" {
		t.Errorf("the device is %v", device)
	}
	a = s.call(t, "POST", "/api/v1/auth/register", strings.Replace(goodRegistration, "ada@example.com", `  ada@example.org `, 1))
	if in := asked[*userv1.RegisterRequest](t, s, "Register"); a.status != 201 || in.GetEmail() != "ada@example.org" {
		t.Errorf("with spaces around it the address is %q", in.GetEmail())
	}
	if a := s.as(t, auth.Customer, "POST", "/api/v1/auth/logout", ""); a.status != 204 || a.body != "" {
		t.Errorf("logout answers %d %q", a.status, a.body)
	}
}

func TestCatalogueReadsAreConditional(t *testing.T) {
	t.Parallel()
	s := setup(t)
	pass := s.clock()
	product := &productv1.Product{Id: productID, Version: 7, Stock: &productv1.Stock{Available: 2}}
	s.on("GetProduct", &productv1.GetProductResponse{Product: product})
	s.on("ListProducts", &productv1.ListProductsResponse{Products: []*productv1.Product{product}, NextPageToken: "next"})
	s.on("ListCategories", &productv1.ListCategoriesResponse{})
	for _, path := range []string{"/api/v1/products/x", "/api/v1/products", "/api/v1/categories"} {
		first := s.call(t, "GET", path, "")
		tag := first.header.Get("ETag")
		if first.status != 200 || !strongTag.MatchString(tag) || !strings.HasPrefix(first.header.Get("Cache-Control"), "public") {
			t.Fatalf("%s: %d, ETag %q, Cache-Control %q", path, first.status, tag, first.header.Get("Cache-Control"))
		}
		for _, header := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			a := s.call(t, "GET", path, "", "If-None-Match: "+header)
			if a.status != http.StatusNotModified || a.body != "" || a.header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d %q", path, header, a.status, a.body)
			}
		}
		if a := s.call(t, "GET", path, "", `If-None-Match: "other"`); a.status != 200 {
			t.Errorf("%s with another tag: %d", path, a.status)
		}
		if a := s.call(t, "HEAD", path, ""); a.status != 200 || a.body != "" || a.header.Get("ETag") != tag {
			t.Errorf("HEAD %s: %d", path, a.status)
		}
	}
	// Somebody buys one: no new version, but another representation.
	before := s.call(t, "GET", "/api/v1/products/x", "").header.Get("ETag")
	s.on("GetProduct", &productv1.GetProductResponse{Product: &productv1.Product{Id: productID, Version: 7, Stock: &productv1.Stock{Available: 1}}})
	pass(freshFor)
	if a := s.call(t, "GET", "/api/v1/products/x", "", "If-None-Match: "+before); a.status != 200 {
		t.Errorf("the old stock is still good: %d", a.status)
	}
	if v, err := (IfMatch{before}).version(); err != nil || v == nil || *v != 7 {
		t.Errorf("%s as If-Match is version %v, %v", before, v, err)
	}
}

func TestListParameters(t *testing.T) {
	t.Parallel()
	s := setup(t)
	total := int64(41)
	s.on("ListProducts", &productv1.ListProductsResponse{TotalSize: &total})
	a := s.call(t, "GET", "/api/v1/products?q=bike&category=c&min_price=0&in_stock=false&sort=-price&page_size=7&page_token=t&include_total=true", "")
	if diff := cmp.Diff(map[string]any{"items": []any{}, "total_size": 41.0}, a.json); diff != "" {
		t.Error(diff)
	}
	in := asked[*productv1.ListProductsRequest](t, s, "ListProducts")
	if in.GetQuery() != "bike" || in.MinPrice == nil || in.GetMinPrice() != 0 || in.MaxPrice != nil || in.InStock == nil || in.GetInStock() ||
		in.GetSort() != productv1.ProductSort_PRODUCT_SORT_PRICE_DESC || in.GetPageSize() != 7 || in.GetPageToken() != "t" || !in.GetIncludeTotal() {
		t.Errorf("the service is asked for %v", in)
	}
	s.call(t, "GET", "/api/v1/products", "")
	if in := asked[*productv1.ListProductsRequest](t, s, "ListProducts"); in.GetPageSize() != 20 || in.InStock != nil {
		t.Errorf("the service is asked for %v", in)
	}
}

func TestCart(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetCart", &cartv1.GetCartResponse{Cart: &cartv1.Cart{Currency: "EUR"}})
	a := s.as(t, auth.Customer, "GET", "/api/v1/cart", "")
	want := map[string]any{
		"items": []any{}, "item_count": 0.0, "subtotal": map[string]any{"amount": 0.0, "currency": "EUR"}, "currency": "EUR", "version": 0.0,
		"expires_at": nil, "prices_as_of": nil,
	}
	if diff := cmp.Diff(want, a.json); diff != "" || !strings.HasPrefix(a.header.Get("ETag"), `"0-`) || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v: %s", a.header, diff)
	}

	s.on("AddItem", &cartv1.AddItemResponse{Cart: &cartv1.Cart{Version: 4, Currency: "EUR", Stale: true, Items: []*cartv1.CartItem{{
		ProductId: productID, Quantity: 2, UnitPrice: &moneyv1.Money{Amount: 5, Currency: "EUR"},
	}}}})
	a = s.as(t, auth.Customer, "POST", "/api/v1/cart/items", `{"product_id":"`+productID+`","quantity":2}`, `If-Match: "3"`)
	if a.status != 200 || !strings.HasPrefix(a.header.Get("ETag"), `"4-`) || a.json["stale"] != true {
		t.Errorf("%d %s", a.status, a.body)
	}
	if in := asked[*cartv1.AddItemRequest](t, s, "AddItem"); in.IfVersion == nil || in.GetIfVersion() != 3 || in.GetQuantity() != 2 {
		t.Errorf("the service is asked for %v", in)
	}
	s.on("SetItem", &cartv1.SetItemResponse{})
	if a := s.as(t, auth.Customer, "PUT", "/api/v1/cart/items/"+productID, `{"quantity":0}`); a.status != 200 {
		t.Errorf("quantity 0 answers %d %s", a.status, a.body)
	}
	s.on("ClearCart", &cartv1.ClearCartResponse{})
	if a := s.as(t, auth.Customer, "DELETE", "/api/v1/cart", "", "If-Match: *"); a.status != 204 {
		t.Errorf("clearing answers %d", a.status)
	}
	if in := asked[*cartv1.ClearCartRequest](t, s, "ClearCart"); in.IfVersion != nil {
		t.Errorf("the service is asked for %v", in)
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	order := &orderv1.Order{
		Id: orderID, UserId: customerID, Status: orderv1.OrderStatus_ORDER_STATUS_CONFIRMED, Currency: "EUR", Version: 3,
		Payment: &orderv1.Payment{Status: orderv1.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED, Method: orderv1.PaymentMethod_PAYMENT_METHOD_CASH_ON_DELIVERY},
	}
	place := func() answer {
		return s.as(t, auth.Customer, "POST", "/api/v1/orders", goodOrder, "Idempotency-Key: k 1")
	}
	s.on("PlaceOrder", &orderv1.PlaceOrderResponse{Order: order})
	a := place()
	if a.status != 201 || a.header.Get("Location") != "/api/v1/orders/"+orderID || a.header.Get("ETag") != `"3"` || a.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	payment, _ := a.json["payment"].(map[string]any)
	if a.json["status"] != "confirmed" || payment["status"] != "partially_refunded" || payment["method"] != "cash_on_delivery" {
		t.Errorf("the order is %s", a.body)
	}
	in := asked[*orderv1.PlaceOrderRequest](t, s, "PlaceOrder")
	if in.GetIdempotencyKey() != "k 1" || in.GetPaymentMethod() != orderv1.PaymentMethod_PAYMENT_METHOD_CARD || in.GetPaymentToken() != "tok_ok" ||
		in.GetShippingAddress().GetCountry() != "GB" || len(in.GetItems()) != 0 || in.ExpectedTotal != nil {
		t.Errorf("the service is asked for %v", in)
	}
	s.on("PlaceOrder", &orderv1.PlaceOrderResponse{Order: order, Replayed: true, Settling: true})
	if a := place(); a.status != 202 || a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %v", a.status, a.header)
	}

	s.on("CancelOrder", &orderv1.CancelOrderResponse{Order: order})
	cancel := "/api/v1/orders/" + orderID + "/cancel"
	for _, body := range []string{"", "{}", `{"reason":"too slow"}`} {
		if a := s.as(t, auth.Customer, "POST", cancel, body, `If-Match: "2"`); a.status != 200 {
			t.Errorf("cancel with %q: %d %s", body, a.status, a.body)
		}
	}
	if in := asked[*orderv1.CancelOrderRequest](t, s, "CancelOrder"); in.GetOrderId() != orderID || in.GetReason() != "too slow" || in.GetIfVersion() != 2 {
		t.Errorf("the service is asked for %v", in)
	}
	s.on("PayOrder", &orderv1.PayOrderResponse{Order: order})
	if a := s.as(t, auth.Customer, "POST", "/api/v1/orders/"+orderID+"/pay", `{"method":"card","token":"tok_ok"}`); a.status != 200 {
		t.Errorf("pay: %d %s", a.status, a.body)
	}
	s.on("ListOrders", &orderv1.ListOrdersResponse{Orders: []*orderv1.Order{order}, NextPageToken: "n"})
	a = s.as(t, auth.Customer, "GET", "/api/v1/orders?status=confirmed", "")
	if items, _ := a.json["items"].([]any); a.status != 200 || len(items) != 1 || a.json["next_page_token"] != "n" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if in := asked[*orderv1.ListOrdersRequest](t, s, "ListOrders"); in.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CONFIRMED {
		t.Errorf("the service is asked for %v", in)
	}
}

func TestStaffWrites(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("CreateProduct", &productv1.CreateProductResponse{Product: &productv1.Product{Id: productID, Version: 1, Status: productv1.ProductStatus_PRODUCT_STATUS_DRAFT}})
	a := s.as(t, auth.Staff, "POST", "/api/v1/products", `{"sku":"A","name":"N","price":{"amount":9007199254740993,"currency":"EUR"}}`)
	if a.status != 201 || a.header.Get("Location") != "/api/v1/products/"+productID || a.header.Get("ETag") == "" || a.json["status"] != "draft" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if in := asked[*productv1.CreateProductRequest](t, s, "CreateProduct"); in.GetPrice().GetAmount() != 9007199254740993 {
		t.Errorf("the price became %v", in.GetPrice())
	}
	s.on("AdjustStock", &productv1.AdjustStockResponse{Stock: &productv1.Stock{Available: 5, OnHand: 8, Reserved: 3}, Replayed: true})
	a = s.as(t, auth.Admin, "POST", "/api/v1/products/"+productID+"/stock-adjustments", `{"delta":5,"reason":"delivery"}`, "Idempotency-Key: k")
	if diff := cmp.Diff(map[string]any{"available": 5.0, "on_hand": 8.0, "reserved": 3.0}, a.json); diff != "" || a.status != 201 || a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %v %s", a.status, a.header, diff)
	}
	s.on("ListCategories", &productv1.ListCategoriesResponse{Categories: []*productv1.Category{{Id: productID, Children: []*productv1.Category{{Id: orderID, ParentId: productID}}}}})
	a = s.call(t, "GET", "/api/v1/categories", "")
	if !strings.Contains(a.body, `"parent_id":null`) || !strings.Contains(a.body, `"parent_id":"`+productID+`"`) {
		t.Errorf("the tree is %s", a.body)
	}
}

func TestHealthAndDocuments(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetSigningKeys", &userv1.GetSigningKeysResponse{Jwks: []byte(`{"keys":[{"kty":"OKP"}]}`)})
	if a := s.call(t, "GET", "/.well-known/jwks.json", ""); a.status != 200 || !strings.Contains(a.body, `{"keys":[{"kty":"OKP"}]}`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.call(t, "GET", "/openapi.json", ""); a.json["openapi"] != "3.1.0" || strings.Contains(a.body, "$schema") {
		t.Errorf("the document is %.200s", a.body)
	}
	if a := s.call(t, "GET", "/openapi.yaml", ""); a.status != 200 || !strings.Contains(a.body, "openapi: 3.1.0") {
		t.Errorf("the document is %.200s", a.body)
	}
	page := s.call(t, "GET", "/docs", "")
	policy := page.header.Get("Content-Security-Policy")
	if page.status != 200 || strings.Contains(policy, "script-src 'self' 'unsafe-inline'") || strings.Count(policy, "'sha256-") != 2 {
		t.Errorf("%d %q", page.status, policy)
	}
	if strings.Contains(page.body, "://cdn") || strings.Contains(page.body, "unpkg") {
		t.Error("the page loads from elsewhere")
	}
	for _, asset := range []string{"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-32x32.png"} {
		if a := s.call(t, "GET", "/docs/"+asset, ""); a.status != 200 || len(a.body) < 100 {
			t.Errorf("%s: %d", asset, a.status)
		}
	}
	s.call(t, "GET", "/docs/../secret", "").mustBeProblem(t, 404, "not_found")

	a := s.call(t, "GET", "/readyz", "")
	if a.status != 200 || !strings.Contains(a.body, `"name":"user-service"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.health.Drain()
	if a := s.call(t, "GET", "/readyz", ""); a.status != 503 || a.json["draining"] != true {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.call(t, "GET", "/healthz", ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestOrderToAnAddressBook passes the entry's id on: whose it is, and that it exists, order-service finds out.
func TestOrderToAnAddressBook(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("PlaceOrder", &orderv1.PlaceOrderResponse{Order: &orderv1.Order{Id: orderID, Currency: "EUR"}})
	place := func() answer {
		return s.as(t, auth.Customer, "POST", "/api/v1/orders", `{"address_id":"`+addressID+`","shipping_method":"standard","payment":{"method":"card"}}`, "Idempotency-Key: k")
	}
	if a := place(); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if in := asked[*orderv1.PlaceOrderRequest](t, s, "PlaceOrder"); in.GetAddressId() != addressID || in.ShippingAddress != nil {
		t.Errorf("the service is asked for %v", in)
	}
	s.on("PlaceOrder", apperr.InvalidField("address_id", "there is no such address"))
	a := place()
	a.mustBeProblem(t, 422, "validation_failed")
	if diff := cmp.Diff([]string{"body.address_id"}, a.locations()); diff != "" {
		t.Error(diff)
	}
}
