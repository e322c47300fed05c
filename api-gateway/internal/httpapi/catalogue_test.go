package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
)

const categoryID = "01890a5d-ac96-774b-bcce-b302099a8060"

func wantAsked(t *testing.T, s *shop, method string, want proto.Message) {
	t.Helper()
	if diff := cmp.Diff(want, asked[proto.Message](t, s, method), protocmp.Transform()); diff != "" {
		t.Errorf("%s is asked for (-want +got):\n%s", method, diff)
	}
}

func TestProductChanges(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ends := &timestamppb.Timestamp{Seconds: 1772366400}
	s.on("UpdateProduct", &productv1.UpdateProductResponse{Product: &productv1.Product{
		Id: productID, Version: 8, Price: &moneyv1.Money{Amount: 100, Currency: "EUR"}, SalePrice: &moneyv1.Money{Amount: 80, Currency: "EUR"},
		Discount: &productv1.Discount{Type: productv1.DiscountType_DISCOUNT_TYPE_PERCENT, Value: 20, EndsAt: ends}, Stock: &productv1.Stock{OnHand: 3},
	}})
	patch := func(body string, headers ...string) answer {
		t.Helper()
		return s.as(t, auth.Staff, "PATCH", "/api/v1/products/"+productID, body, headers...)
	}
	a := patch(`{"sku":"A","slug":"a","name":"N","short_description":"","description":"D","price":{"amount":100,"currency":"EUR"},
		"discount":{"type":"percent","value":20,"starts_at":null,"ends_at":"2026-03-01T13:00:00+01:00"},"category_ids":["`+categoryID+`"],
		"images":[{"url":"https://a.example/b.jpg","alt":"B"}],"attributes":{"a":"b"},"status":"active"}`, `If-Match: "7-abc"`)
	discount := map[string]any{"type": "percent", "value": 20.0, "ends_at": "2026-03-01T12:00:00Z"}
	if diff := cmp.Diff(discount, a.json["discount"]); diff != "" || a.status != 200 || !strings.HasPrefix(a.header.Get("ETag"), `"8-`) {
		t.Errorf("%d %v: %s", a.status, a.header, diff)
	}
	if stock, _ := a.json["stock"].(map[string]any); stock["on_hand"] != 3.0 {
		t.Errorf("staff is told %v", a.json["stock"])
	}
	wantAsked(t, s, "UpdateProduct", &productv1.UpdateProductRequest{
		ProductId: productID, IfVersion: new(int64(7)), Sku: new("A"), Slug: new("a"), Name: new("N"), ShortDescription: new(""), Description: new("D"),
		Price:       &moneyv1.Money{Amount: 100, Currency: "EUR"},
		Discount:    &productv1.Discount{Type: productv1.DiscountType_DISCOUNT_TYPE_PERCENT, Value: 20, EndsAt: ends},
		CategoryIds: &productv1.CategoryIds{Ids: []string{categoryID}},
		Images:      &productv1.Images{Images: []*productv1.Image{{Url: "https://a.example/b.jpg", Alt: "B"}}},
		Attributes:  &productv1.Attributes{Values: map[string]string{"a": "b"}}, Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE.Enum(),
	})
	// What is left out is left alone; null takes the discount away, and empty lists what is in them.
	for body, want := range map[string]*productv1.UpdateProductRequest{
		`{}`:                {ProductId: productID},
		`{"discount":null}`: {ProductId: productID, RemoveDiscount: true},
		`{"category_ids":[],"images":[],"attributes":{}}`: {
			ProductId: productID, CategoryIds: &productv1.CategoryIds{}, Images: &productv1.Images{}, Attributes: &productv1.Attributes{},
		},
	} {
		if a := patch(body, "If-Match: *"); a.status != 200 {
			t.Errorf("%s answers %d %s", body, a.status, a.body)
		}
		wantAsked(t, s, "UpdateProduct", want)
	}
	for body, location := range map[string]string{
		`{"name":null}`:                 "body.name",
		`{"price":null}`:                "body.price",
		`{"category_ids":null}`:         "body.category_ids",
		`{"category_ids":["x"]}`:        "body.category_ids[0]",
		`{"slug":""}`:                   "body.slug",
		`{"status":"gone"}`:             "body.status",
		`{"stock":1}`:                   "body.stock",
		`{"discount":{"value":1}}`:      "body.discount.type",
		`{"discount":"half"}`:           "body.discount",
		`{"discount":{"type":"fixed"}}`: "body.discount.value",
		`{"discount":{"type":"fixed","value":1,"starts_at":"soon"}}`: "body.discount.starts_at",
	} {
		a := patch(body)
		a.mustBeProblem(t, 422, "validation_failed")
		if diff := cmp.Diff([]string{location}, a.locations()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	s.on("UpdateProduct", apperr.ValidationFailed(apperr.Violation{Location: `attributes.values["a"]`, Message: "too long"}, apperr.Violation{Location: "discount.value", Message: "too much"}))
	if diff := cmp.Diff([]string{`body.attributes["a"]`, "body.discount.value"}, patch(`{}`).locations()); diff != "" {
		t.Error(diff)
	}
	s.on("UpdateProduct", apperr.New(apperr.VersionMismatch, "version_mismatch", "Changed."))
	patch(`{}`, `If-Match: "6"`).mustBeProblem(t, 412, "version_mismatch")

	s.on("ArchiveProduct", &productv1.ArchiveProductResponse{})
	if a := s.as(t, auth.Staff, "DELETE", "/api/v1/products/"+productID, "", `If-Match: "9"`); a.status != 204 || a.body != "" {
		t.Errorf("archiving answers %d %s", a.status, a.body)
	}
	wantAsked(t, s, "ArchiveProduct", &productv1.ArchiveProductRequest{ProductId: productID, IfVersion: new(int64(9))})
	s.as(t, auth.Staff, "DELETE", "/api/v1/products/"+productID, "", `If-Match: nine`).mustBeProblem(t, 400, "malformed_request")
}

func TestNewProductWithDiscount(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("CreateProduct", &productv1.CreateProductResponse{Product: &productv1.Product{Id: productID, Version: 1}})
	for discount, want := range map[string]*productv1.Discount{
		`null`:                       nil,
		`{"type":"fixed","value":5}`: {Type: productv1.DiscountType_DISCOUNT_TYPE_FIXED, Value: 5},
	} {
		if a := s.as(t, auth.Staff, "POST", "/api/v1/products", `{"sku":"A","name":"N","price":{"amount":9,"currency":"EUR"},"discount":`+discount+`}`); a.status != 201 {
			t.Errorf("%d %s", a.status, a.body)
		}
		wantAsked(t, s, "CreateProduct", &productv1.CreateProductRequest{Sku: "A", Name: "N", Price: &moneyv1.Money{Amount: 9, Currency: "EUR"}, Discount: want})
	}
}

func TestCategoryChanges(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("UpdateCategory", &productv1.UpdateCategoryResponse{Category: &productv1.Category{Id: categoryID, Version: 3}})
	path := "/api/v1/categories/" + categoryID
	for body, want := range map[string]*productv1.UpdateCategoryRequest{
		`{}`:                                {CategoryId: categoryID},
		`{"parent_id":null}`:                {CategoryId: categoryID, ParentId: new("")},
		`{"parent_id":"` + productID + `"}`: {CategoryId: categoryID, ParentId: new(productID)},
		`{"name":"N","slug":"n","description":""}`: {CategoryId: categoryID, Name: new("N"), Slug: new("n"), Description: new("")},
	} {
		if a := s.as(t, auth.Staff, "PATCH", path, body); a.status != 200 || !strings.HasPrefix(a.header.Get("ETag"), `"3-`) {
			t.Errorf("%s answers %d %s", body, a.status, a.body)
		}
		wantAsked(t, s, "UpdateCategory", want)
	}
	for _, body := range []string{`{"parent_id":""}`, `{"parent_id":"root"}`, `{"parent_id":7}`} {
		a := s.as(t, auth.Staff, "PATCH", path, body)
		a.mustBeProblem(t, 422, "validation_failed")
		if !strings.HasPrefix(strings.Join(a.locations(), " "), "body.parent_id") {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	s.on("CreateCategory", &productv1.CreateCategoryResponse{Category: &productv1.Category{Id: categoryID}})
	if a := s.as(t, auth.Staff, "POST", "/api/v1/categories", `{"name":"N","parent_id":null}`); a.status != 201 {
		t.Errorf("a category with parent_id null: %d %s", a.status, a.body)
	}
	s.on("UpdateCategory", apperr.New(apperr.Conflict, "category_cycle", "Round and round."))
	s.as(t, auth.Staff, "PATCH", path, `{"parent_id":"`+productID+`"}`).mustBeProblem(t, 409, "category_cycle")
	s.on("DeleteCategory", &productv1.DeleteCategoryResponse{})
	if a := s.as(t, auth.Staff, "DELETE", path, "", `If-Match: "3"`); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantAsked(t, s, "DeleteCategory", &productv1.DeleteCategoryRequest{CategoryId: categoryID, IfVersion: new(int64(3))})
	s.on("DeleteCategory", apperr.New(apperr.Conflict, "category_in_use", "In use."))
	s.as(t, auth.Staff, "DELETE", path, "").mustBeProblem(t, 409, "category_in_use")
}

func TestStockLedger(t *testing.T) {
	t.Parallel()
	s := setup(t)
	total := int64(9)
	s.on("ListStockLedger", &productv1.ListStockLedgerResponse{NextPageToken: "n", TotalSize: &total, Entries: []*productv1.StockLedgerEntry{{
		Id: orderID, Delta: -2, Reason: "order confirmed", Reference: orderID, Actor: "order-service", OnHandAfter: 3,
		At: timestamppb.New(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
	}}})
	a := s.as(t, auth.Staff, "GET", "/api/v1/products/"+productID+"/stock-adjustments?page_size=1&page_token=t&include_total=true", "")
	want := map[string]any{"next_page_token": "n", "total_size": 9.0, "items": []any{map[string]any{
		"id": orderID, "delta": -2.0, "reason": "order confirmed", "reference": orderID, "actor": "order-service", "on_hand_after": 3.0, "at": "2026-03-01T12:00:00Z",
	}}}
	if diff := cmp.Diff(want, a.json); diff != "" || a.status != 200 {
		t.Errorf("%d %s", a.status, diff)
	}
	wantAsked(t, s, "ListStockLedger", &productv1.ListStockLedgerRequest{ProductId: productID, PageSize: 1, PageToken: "t", IncludeTotal: true})
}

func euro(cents int64) *moneyv1.Money { return &moneyv1.Money{Amount: cents, Currency: "EUR"} }
