package rpc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
)

func wantError(t *testing.T, what string, err error, kind apperr.Kind, reason string) {
	t.Helper()
	wantKind(t, what, err, kind)
	if got := apperr.ReasonOf(err); got != reason {
		t.Errorf("%s: got reason %q, want %q", what, got, reason)
	}
}

func TestStaffsMethodsAreForStaff(t *testing.T) {
	t.Parallel()
	s := setup(t)
	conn := s.as(t, grpcserver.Gateway)
	catalog, stock := productv1.NewCatalogServiceClient(conn), productv1.NewStockServiceClient(conn)
	id := uuid.NewString()
	for name, call := range map[string]func(context.Context) error{
		"UpdateCategory": func(ctx context.Context) error {
			_, err := catalog.UpdateCategory(ctx, &productv1.UpdateCategoryRequest{CategoryId: id})
			return err
		},
		"DeleteCategory": func(ctx context.Context) error {
			_, err := catalog.DeleteCategory(ctx, &productv1.DeleteCategoryRequest{CategoryId: id})
			return err
		},
		"UpdateProduct": func(ctx context.Context) error {
			_, err := catalog.UpdateProduct(ctx, &productv1.UpdateProductRequest{ProductId: id})
			return err
		},
		"ArchiveProduct": func(ctx context.Context) error {
			_, err := catalog.ArchiveProduct(ctx, &productv1.ArchiveProductRequest{ProductId: id})
			return err
		},
		"ListStockLedger": func(ctx context.Context) error {
			_, err := stock.ListStockLedger(ctx, &productv1.ListStockLedgerRequest{ProductId: id})
			return err
		},
	} {
		wantKind(t, name+" by nobody", call(t.Context()), apperr.Unauthenticated)
		wantKind(t, name+" by a customer", call(s.user(t, auth.Customer)), apperr.PermissionDenied)
		wantKind(t, name+" by staff", call(s.user(t, auth.Staff)), apperr.NotFound)
	}
	lines := &productv1.ImportProductsRequest{Products: []*productv1.ImportedProduct{{Line: 1}}}
	_, err := catalog.ImportProducts(s.user(t, auth.Customer), lines)
	wantKind(t, "ImportProducts by a customer", err, apperr.PermissionDenied)
}

func TestUpdateProductOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	catalog, staff := productv1.NewCatalogServiceClient(s.as(t, grpcserver.Gateway)), s.user(t, auth.Staff)
	category, err := catalog.CreateCategory(staff, &productv1.CreateCategoryRequest{Name: "Tea"})
	if err != nil {
		t.Fatal(err)
	}
	categoryID := category.GetCategory().GetId()
	req := tea(productv1.ProductStatus_PRODUCT_STATUS_DRAFT)
	ends := timestamppb.New(time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC))
	req.Discount = &productv1.Discount{Type: productv1.DiscountType_DISCOUNT_TYPE_FIXED, Value: 99, EndsAt: ends}
	created, err := catalog.CreateProduct(staff, req)
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetProduct().GetId()
	if diff := cmp.Diff(req.GetDiscount(), created.GetProduct().GetDiscount(), protocmp.Transform()); diff != "" {
		t.Errorf("discount (-want +got):\n%s", diff)
	}
	if got := created.GetProduct().GetSalePrice(); got.GetAmount() != 800 || got.GetCurrency() != "EUR" {
		t.Errorf("sale price %v", got)
	}

	updated, err := catalog.UpdateProduct(staff, &productv1.UpdateProductRequest{
		ProductId: id, IfVersion: new(int64(1)), Sku: new("TEA-9"), Slug: new("sencha"), Name: new("Sencha"), ShortDescription: new("short"),
		Description: new("long"), Price: &moneyv1.Money{Amount: 1000, Currency: "EUR"}, CategoryIds: &productv1.CategoryIds{Ids: []string{categoryID}},
		Images:     &productv1.Images{Images: []*productv1.Image{{Url: "https://images.shop.example/a.jpg", Alt: "A"}}},
		Attributes: &productv1.Attributes{Values: map[string]string{"origin": "Uji"}}, Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE.Enum(),
		RemoveDiscount: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &productv1.Product{
		Id: id, Sku: "TEA-9", Slug: "sencha", Name: "Sencha", ShortDescription: "short", Description: "long",
		Price: &moneyv1.Money{Amount: 1000, Currency: "EUR"}, CategoryIds: []string{categoryID},
		Images:     []*productv1.Image{{Url: "https://images.shop.example/a.jpg", Alt: "A"}},
		Attributes: map[string]string{"origin": "Uji"}, Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
		Stock: &productv1.Stock{}, Version: 2,
	}
	times := protocmp.IgnoreFields(&productv1.Product{}, "created_at", "updated_at")
	if diff := cmp.Diff(want, updated.GetProduct(), protocmp.Transform(), times); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	update := func(change func(*productv1.UpdateProductRequest)) error {
		req := &productv1.UpdateProductRequest{ProductId: id}
		change(req)
		_, err := catalog.UpdateProduct(staff, req)
		return err
	}
	wantError(t, "an old version", update(func(r *productv1.UpdateProductRequest) { r.Name, r.IfVersion = new("X"), new(int64(1)) }),
		apperr.VersionMismatch, "version_mismatch")
	wantError(t, "another currency", update(func(r *productv1.UpdateProductRequest) { r.Price = &moneyv1.Money{Amount: 1, Currency: "USD"} }),
		apperr.Invalid, "validation_failed")
	wantError(t, "no status", update(func(r *productv1.UpdateProductRequest) { r.Status = new(productv1.ProductStatus(0)) }),
		apperr.Invalid, "validation_failed")
	wantError(t, "a percentage over 100", update(func(r *productv1.UpdateProductRequest) {
		r.Discount = &productv1.Discount{Type: productv1.DiscountType_DISCOUNT_TYPE_PERCENT, Value: 101}
	}), apperr.Invalid, "validation_failed")

	archived, err := catalog.ArchiveProduct(staff, &productv1.ArchiveProductRequest{ProductId: id, IfVersion: new(int64(2))})
	if err != nil || archived.GetProduct().GetStatus() != productv1.ProductStatus_PRODUCT_STATUS_ARCHIVED || archived.GetProduct().GetVersion() != 3 {
		t.Errorf("archive: %v, %v", archived, err)
	}
	_, err = catalog.GetProduct(s.user(t, auth.Customer), &productv1.GetProductRequest{IdOrSlug: id})
	wantError(t, "a customer gets an archived one", err, apperr.NotFound, "not_found")
}

func TestCategoriesOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	catalog, staff := productv1.NewCatalogServiceClient(s.as(t, grpcserver.Gateway)), s.user(t, auth.Staff)
	ids := map[string]string{}
	for _, c := range [][2]string{{"Drinks", ""}, {"Tea", "Drinks"}, {"Food", ""}} {
		created, err := catalog.CreateCategory(staff, &productv1.CreateCategoryRequest{Name: c[0], ParentId: ids[c[1]]})
		if err != nil {
			t.Fatal(err)
		}
		ids[c[0]] = created.GetCategory().GetId()
	}
	req := tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE)
	req.CategoryIds = []string{ids["Tea"]}
	if _, err := catalog.CreateProduct(staff, req); err != nil {
		t.Fatal(err)
	}
	update := func(name string, change func(*productv1.UpdateCategoryRequest)) (*productv1.Category, error) {
		req := &productv1.UpdateCategoryRequest{CategoryId: ids[name]}
		change(req)
		answer, err := catalog.UpdateCategory(staff, req)
		return answer.GetCategory(), err
	}
	_, err := update("Drinks", func(r *productv1.UpdateCategoryRequest) { r.ParentId = new(ids["Tea"]) })
	wantError(t, "a circle", err, apperr.Conflict, "category_cycle")
	_, err = update("Drinks", func(r *productv1.UpdateCategoryRequest) { r.Slug = new("food") })
	wantError(t, "slug taken", err, apperr.Conflict, "slug_taken")
	_, err = update("Drinks", func(r *productv1.UpdateCategoryRequest) { r.ParentId = new("nonsense") })
	wantError(t, "no id", err, apperr.Invalid, "validation_failed")

	food, err := update("Food", func(r *productv1.UpdateCategoryRequest) {
		r.Name, r.Slug, r.Description, r.ParentId = new("Groceries"), new("groceries"), new("All there is"), new(ids["Drinks"])
	})
	want := &productv1.Category{
		Id: ids["Food"], Name: "Groceries", Slug: "groceries", Description: "All there is", ParentId: ids["Drinks"], Version: 2,
	}
	if diff := cmp.Diff(want, food, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	moved, err := update("Tea", func(r *productv1.UpdateCategoryRequest) { r.ParentId, r.IfVersion = new(""), new(int64(1)) })
	if err != nil || moved.GetParentId() != "" || moved.GetProductCount() != 1 {
		t.Errorf("%v, %v", moved, err)
	}
	drinks, err := catalog.GetCategory(t.Context(), &productv1.GetCategoryRequest{IdOrSlug: "drinks"})
	if err != nil || drinks.GetCategory().GetProductCount() != 0 || len(drinks.GetCategory().GetChildren()) != 1 {
		t.Errorf("%v, %v", drinks, err)
	}

	remove := func(name string, version *int64) error {
		_, err := catalog.DeleteCategory(staff, &productv1.DeleteCategoryRequest{CategoryId: ids[name], IfVersion: version})
		return err
	}
	wantError(t, "a category with products", remove("Tea", nil), apperr.Conflict, "category_in_use")
	wantError(t, "a category with children", remove("Drinks", nil), apperr.Conflict, "category_in_use")
	wantError(t, "an old version", remove("Food", new(int64(1))), apperr.VersionMismatch, "version_mismatch")
	if err := remove("Food", new(int64(2))); err != nil {
		t.Error(err)
	}
	wantError(t, "again", remove("Food", nil), apperr.NotFound, "not_found")
}

func TestImportOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	catalog, staff := productv1.NewCatalogServiceClient(s.as(t, grpcserver.Gateway)), s.user(t, auth.Staff)
	euros := func(amount int64) *moneyv1.Money { return &moneyv1.Money{Amount: amount, Currency: "EUR"} }
	answer, err := catalog.ImportProducts(staff, &productv1.ImportProductsRequest{Products: []*productv1.ImportedProduct{
		{Line: 11, Sku: "A", Name: new("Tea"), Price: euros(100), Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE},
		{Line: 12, Sku: "A", Price: euros(200), Discount: &productv1.Discount{Type: productv1.DiscountType_DISCOUNT_TYPE_PERCENT, Value: 50}},
		{Line: 13, Sku: "B", Name: new("Tea"), Price: &moneyv1.Money{Amount: 1, Currency: "euro"}},
		{Line: 14, Sku: "C", Name: new("Tea"), Price: euros(1), CategoryIds: &productv1.CategoryIds{Ids: []string{"nonsense"}}},
		{Line: 15, Sku: "D", Name: new("Tea"), Slug: new("tea"), Price: euros(1)},
		{Line: 16, Sku: "E", Name: new("Tea"), Price: euros(1), Status: 99},
		{Line: 17, Name: new(strings.Repeat("x", 201))},
		{Line: 18, Sku: "F", Name: new("Tea"), Price: euros(1), Images: &productv1.Images{Images: []*productv1.Image{{Url: "nonsense"}}}},
		{Line: 19, Sku: "G", Name: new("Tea"), Price: euros(1), Discount: &productv1.Discount{EndsAt: &timestamppb.Timestamp{Nanos: -1}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	id := answer.GetResults()[0].GetProductId()
	failed := func(line int64, code, detail string) *productv1.ImportResult {
		return &productv1.ImportResult{Line: line, Status: productv1.ImportStatus_IMPORT_STATUS_FAILED, Code: code, Detail: detail}
	}
	want := []*productv1.ImportResult{
		{Line: 11, Status: productv1.ImportStatus_IMPORT_STATUS_CREATED, ProductId: id},
		{Line: 12, Status: productv1.ImportStatus_IMPORT_STATUS_UPDATED, ProductId: id},
		failed(13, "validation_failed", "price.currency: It must be an ISO 4217 code."),
		failed(14, "validation_failed", "category_ids[0]: It must be an id."),
		failed(15, "slug_taken", "This slug is in use already."),
		failed(16, "validation_failed", "status: It must be draft, active or archived."),
		failed(17, "validation_failed", "sku: It must not be empty. name: It must have at most 200 characters. price: It must be given."),
		failed(18, "validation_failed", "images[0].url: It must be an http or https address."),
		failed(19, "validation_failed", "discount.ends_at: It must be a time from the year 1 to 9999."),
	}
	if diff := cmp.Diff(want, answer.GetResults(), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err := catalog.GetProduct(t.Context(), &productv1.GetProductRequest{IdOrSlug: "tea"})
	if p := got.GetProduct(); err != nil || p.GetPrice().GetAmount() != 200 || p.GetSalePrice().GetAmount() != 100 || p.GetVersion() != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestLedgerOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	conn := s.as(t, grpcserver.Gateway)
	stock, staff := productv1.NewStockServiceClient(conn), s.user(t, auth.Staff)
	created, err := productv1.NewCatalogServiceClient(conn).CreateProduct(staff, tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE))
	if err != nil {
		t.Fatal(err)
	}
	id, order := created.GetProduct().GetId(), uuid.NewString()
	for _, delta := range []int64{5, -1, 3} {
		if _, err := stock.AdjustStock(staff, &productv1.AdjustStockRequest{ProductId: id, Delta: delta, Reason: "count"}); err != nil {
			t.Fatal(err)
		}
	}
	orders := productv1.NewStockServiceClient(s.as(t, grpcserver.OrderService))
	if _, err := orders.ReserveStock(t.Context(), &productv1.ReserveStockRequest{
		OrderId: order, Lines: []*productv1.StockLine{{ProductId: id, Quantity: 2}}, TtlSeconds: 60,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.ConfirmReservation(t.Context(), &productv1.ConfirmReservationRequest{OrderId: order}); err != nil {
		t.Fatal(err)
	}
	first, err := stock.ListStockLedger(staff, &productv1.ListStockLedgerRequest{ProductId: id, PageSize: 3, IncludeTotal: true})
	if err != nil || len(first.GetEntries()) != 3 || first.GetTotalSize() != 4 {
		t.Fatalf("%v, %v", first, err)
	}
	newest := first.GetEntries()[0]
	want := &productv1.StockLedgerEntry{Delta: -2, Reason: "order_confirmed", Reference: order, Actor: "shop", OnHandAfter: 5}
	if diff := cmp.Diff(want, newest, protocmp.Transform(), protocmp.IgnoreFields(want, "id", "at")); diff != "" || uuid.Validate(newest.GetId()) != nil {
		t.Errorf("newest (-want +got):\n%s", diff)
	}
	second, err := stock.ListStockLedger(staff, &productv1.ListStockLedgerRequest{ProductId: id, PageToken: first.GetNextPageToken()})
	if err != nil || len(second.GetEntries()) != 1 || second.GetEntries()[0].GetDelta() != 5 || second.GetNextPageToken() != "" || second.TotalSize != nil {
		t.Errorf("%v, %v", second, err)
	}
	_, err = stock.ListStockLedger(staff, &productv1.ListStockLedgerRequest{ProductId: uuid.NewString(), PageToken: first.GetNextPageToken()})
	wantError(t, "the token of another product", err, apperr.Invalid, "validation_failed")
	_, err = stock.ListStockLedger(staff, &productv1.ListStockLedgerRequest{ProductId: uuid.NewString()})
	wantError(t, "no such product", err, apperr.NotFound, "not_found")

	adjust := &productv1.AdjustStockRequest{ProductId: id, Delta: 7, Reason: "count", IdempotencyKey: "key"}
	if _, err := stock.AdjustStock(staff, adjust); err != nil {
		t.Fatal(err)
	}
	adjust.Delta = 8
	_, err = stock.AdjustStock(staff, adjust)
	wantError(t, "the key of another adjustment", err, apperr.Invalid, "idempotency_key_reused")
}
