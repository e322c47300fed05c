package rpc

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/platform/pagetoken"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
)

var (
	toStatus = map[productv1.ProductStatus]domain.ProductStatus{
		productv1.ProductStatus_PRODUCT_STATUS_DRAFT:    domain.Draft,
		productv1.ProductStatus_PRODUCT_STATUS_ACTIVE:   domain.Active,
		productv1.ProductStatus_PRODUCT_STATUS_ARCHIVED: domain.Archived,
	}
	fromStatus = map[domain.ProductStatus]productv1.ProductStatus{
		domain.Draft:    productv1.ProductStatus_PRODUCT_STATUS_DRAFT,
		domain.Active:   productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
		domain.Archived: productv1.ProductStatus_PRODUCT_STATUS_ARCHIVED,
	}
	toDiscountType = map[productv1.DiscountType]domain.DiscountType{
		productv1.DiscountType_DISCOUNT_TYPE_PERCENT: domain.Percent,
		productv1.DiscountType_DISCOUNT_TYPE_FIXED:   domain.Fixed,
	}
	fromDiscountType = map[domain.DiscountType]productv1.DiscountType{
		domain.Percent: productv1.DiscountType_DISCOUNT_TYPE_PERCENT,
		domain.Fixed:   productv1.DiscountType_DISCOUNT_TYPE_FIXED,
	}
	toSort = map[productv1.ProductSort]usecase.Sort{
		productv1.ProductSort_PRODUCT_SORT_NEWEST:     usecase.SortNewest,
		productv1.ProductSort_PRODUCT_SORT_PRICE_ASC:  usecase.SortPriceAsc,
		productv1.ProductSort_PRODUCT_SORT_PRICE_DESC: usecase.SortPriceDesc,
		productv1.ProductSort_PRODUCT_SORT_NAME:       usecase.SortName,
		productv1.ProductSort_PRODUCT_SORT_RELEVANCE:  usecase.SortRelevance,
	}
)

func toID(location, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, apperr.InvalidField(location, "It must be an id.")
	}
	return id, nil
}

func toIDs(location string, texts []string) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(texts))
	for i, text := range texts {
		id, err := toID(fmt.Sprintf("%s[%d]", location, i), text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func toCreateCategory(req *productv1.CreateCategoryRequest) (usecase.CreateCategory, error) {
	cmd := usecase.CreateCategory{Name: req.GetName(), Slug: req.GetSlug(), Description: req.GetDescription()}
	if req.GetParentId() == "" {
		return cmd, nil
	}
	var err error
	cmd.ParentID, err = toID("parent_id", req.GetParentId())
	return cmd, err
}

func toCategoryChange(req *productv1.UpdateCategoryRequest) (uuid.UUID, domain.CategoryChange, error) {
	id, err := toID("category_id", req.GetCategoryId())
	if err != nil {
		return uuid.Nil, domain.CategoryChange{}, err
	}
	change := domain.CategoryChange{Name: req.Name, Slug: req.Slug, Description: req.Description}
	if req.ParentId == nil {
		return id, change, nil
	}
	parent := uuid.Nil // a root
	if req.GetParentId() != "" {
		if parent, err = toID("parent_id", req.GetParentId()); err != nil {
			return uuid.Nil, domain.CategoryChange{}, err
		}
	}
	change.ParentID = &parent
	return id, change, nil
}

func toProductDetails(req *productv1.CreateProductRequest) (domain.ProductDetails, error) {
	price, err := toMoney("price", req.GetPrice())
	if err != nil {
		return domain.ProductDetails{}, err
	}
	categories, err := toIDs("category_ids", req.GetCategoryIds())
	if err != nil {
		return domain.ProductDetails{}, err
	}
	discount, err := toDiscount(req.GetDiscount())
	if err != nil {
		return domain.ProductDetails{}, err
	}
	return domain.ProductDetails{
		SKU: req.GetSku(), Slug: req.GetSlug(), Name: req.GetName(), ShortDescription: req.GetShortDescription(),
		Description: req.GetDescription(), Price: price, CategoryIDs: categories, Images: toImages(req.GetImages()),
		Attributes: req.GetAttributes(), Status: toStatus[req.GetStatus()], Discount: discount,
	}, nil
}

func toProductChange(req *productv1.UpdateProductRequest) (uuid.UUID, domain.ProductChange, error) {
	id, err := toID("product_id", req.GetProductId())
	if err != nil {
		return uuid.Nil, domain.ProductChange{}, err
	}
	change, err := toChange(req)
	if err != nil {
		return uuid.Nil, domain.ProductChange{}, err
	}
	change.SKU, change.Slug, change.Name = req.Sku, req.Slug, req.Name
	change.ShortDescription, change.Description = req.ShortDescription, req.Description
	change.RemoveDiscount = req.GetRemoveDiscount()
	return id, change, nil
}

// described is what an update and a line of an import have in common.
type described interface {
	GetPrice() *moneyv1.Money
	GetCategoryIds() *productv1.CategoryIds
	GetImages() *productv1.Images
	GetAttributes() *productv1.Attributes
	GetStatus() productv1.ProductStatus
	GetDiscount() *productv1.Discount
}

// toChange reads all but the texts.
func toChange(in described) (change domain.ProductChange, err error) {
	if in.GetPrice() != nil {
		price, err := toMoney("price", in.GetPrice())
		if err != nil {
			return change, err
		}
		change.Price = &price
	}
	if in.GetCategoryIds() != nil {
		categories, err := toIDs("category_ids", in.GetCategoryIds().GetIds())
		if err != nil {
			return change, err
		}
		change.CategoryIDs = &categories
	}
	if in.GetImages() != nil {
		change.Images = new(toImages(in.GetImages().GetImages()))
	}
	if in.GetAttributes() != nil {
		change.Attributes = new(in.GetAttributes().GetValues())
	}
	if number := in.GetStatus(); number != productv1.ProductStatus_PRODUCT_STATUS_UNSPECIFIED {
		status, ok := toStatus[number]
		if !ok {
			return change, apperr.InvalidField("status", "It must be draft, active or archived.")
		}
		change.Status = &status
	}
	change.Discount, err = toDiscount(in.GetDiscount())
	return change, err
}

func toMoney(location string, m *moneyv1.Money) (money.Money, error) {
	out, err := money.New(m.GetAmount(), m.GetCurrency())
	if err != nil {
		return money.Money{}, apperr.InvalidField(location+".currency", "It must be an ISO 4217 code.")
	}
	return out, nil
}

func toImages(images []*productv1.Image) []domain.Image {
	var out []domain.Image
	for _, image := range images {
		out = append(out, domain.Image{URL: image.GetUrl(), Alt: image.GetAlt()})
	}
	return out
}

func toDiscount(d *productv1.Discount) (*domain.Discount, error) {
	if d == nil {
		return nil, nil
	}
	out := &domain.Discount{Type: toDiscountType[d.GetType()], Value: d.GetValue()}
	var err error
	if out.StartsAt, err = toTime("discount.starts_at", d.GetStartsAt()); err != nil {
		return nil, err
	}
	out.EndsAt, err = toTime("discount.ends_at", d.GetEndsAt())
	return out, err
}

// toTime reads a time that may be unset.
func toTime(location string, t *timestamppb.Timestamp) (time.Time, error) {
	switch {
	case t == nil:
		return time.Time{}, nil
	case !t.IsValid():
		return time.Time{}, apperr.InvalidField(location, "It must be a time from the year 1 to 9999.")
	default:
		return t.AsTime(), nil
	}
}

// toImport reads the lines of an import; what can't be read of one is told for that one.
func toImport(req *productv1.ImportProductsRequest) []usecase.ImportLine {
	lines := make([]usecase.ImportLine, 0, len(req.GetProducts()))
	for _, p := range req.GetProducts() {
		change, err := toChange(p)
		change.SKU, change.Slug, change.Name = &p.Sku, p.Slug, p.Name
		change.ShortDescription, change.Description = p.ShortDescription, p.Description
		lines = append(lines, usecase.ImportLine{Change: change, Unreadable: err})
	}
	return lines
}

func fromImport(req *productv1.ImportProductsRequest, results []usecase.ImportResult) *productv1.ImportProductsResponse {
	out := &productv1.ImportProductsResponse{Results: make([]*productv1.ImportResult, 0, len(results))}
	for i, r := range results {
		result := &productv1.ImportResult{Line: req.GetProducts()[i].GetLine()}
		switch {
		case r.Err != nil:
			result.Status, result.Code, result.Detail = productv1.ImportStatus_IMPORT_STATUS_FAILED, r.Err.Reason, detail(r.Err)
		case r.Created:
			result.Status, result.ProductId = productv1.ImportStatus_IMPORT_STATUS_CREATED, r.ProductID.String()
		default:
			result.Status, result.ProductId = productv1.ImportStatus_IMPORT_STATUS_UPDATED, r.ProductID.String()
		}
		out.Results = append(out.Results, result)
	}
	return out
}

// detail is an error in one sentence: what is wrong with each part, or as a whole.
func detail(e *apperr.Error) string {
	if len(e.Violations) == 0 {
		return e.Message
	}
	parts := make([]string, 0, len(e.Violations))
	for _, v := range e.Violations {
		parts = append(parts, v.Location+": "+v.Message)
	}
	return strings.Join(parts, " ")
}

// toProductQuery reads a list request; its page token is good for the same query only.
func toProductQuery(req *productv1.ListProductsRequest) (usecase.ProductQuery, error) {
	q := usecase.ProductQuery{
		Text: strings.TrimSpace(req.GetQuery()), Category: req.GetCategory(), MinPrice: req.MinPrice, MaxPrice: req.MaxPrice,
		InStock: req.InStock, Sort: toSort[req.GetSort()], PageSize: int(req.GetPageSize()), IncludeTotal: req.GetIncludeTotal(),
	}
	if req.GetPageToken() == "" {
		return q, nil
	}
	q.After = new(usecase.Cursor)
	if err := pagetoken.Decode(req.GetPageToken(), fingerprint(q), q.After); err != nil {
		return q, err
	}
	// A token is no secret and may be forged. A cursor that no product has must not reach the database as a value that it
	// can't take: 2^53 is beyond every price, and as microseconds the year 2255.
	if q.After.Number < 0 || q.After.Number > 1<<53 || q.After.Text != domain.Fold(q.After.Text) ||
		q.After.Fit < domain.FitsNot || q.After.Fit > domain.FitsExactly || !q.After.Corrections.Sound() {
		return q, pagetoken.ErrInvalid
	}
	return q, nil
}

// fingerprint is what binds a page token to its query: the filters and the order. The size of the pages may change on the
// way, and so may the wish for the total.
func fingerprint(q usecase.ProductQuery) any {
	return []any{"products", q.Text, q.Category, q.MinPrice, q.MaxPrice, q.InStock, q.EffectiveSort()}
}

func toAdjustStock(ctx context.Context, req *productv1.AdjustStockRequest) (usecase.AdjustStock, error) {
	id, err := toID("product_id", req.GetProductId())
	if err != nil {
		return usecase.AdjustStock{}, err
	}
	principal, _ := auth.FromContext(ctx) // the policy demands one
	return usecase.AdjustStock{
		ProductID: id, Delta: req.GetDelta(), Reason: req.GetReason(), Actor: principal.UserID, Key: req.GetIdempotencyKey(),
	}, nil
}

// ledgerPage is the size of a page of the ledger when none is asked for; it is that of all lists of the shop.
const ledgerPage = 20

func toLedgerQuery(req *productv1.ListStockLedgerRequest) (usecase.LedgerQuery, error) {
	id, err := toID("product_id", req.GetProductId())
	if err != nil {
		return usecase.LedgerQuery{}, err
	}
	q := usecase.LedgerQuery{ProductID: id, PageSize: cmp.Or(int(req.GetPageSize()), ledgerPage), IncludeTotal: req.GetIncludeTotal()}
	if req.GetPageToken() != "" {
		err = pagetoken.Decode(req.GetPageToken(), ledgerFingerprint(q), &q.After)
	}
	return q, err
}

func ledgerFingerprint(q usecase.LedgerQuery) any { return []any{"ledger", q.ProductID} }

func fromLedgerPage(q usecase.LedgerQuery, page usecase.LedgerPage) (_ *productv1.ListStockLedgerResponse, err error) {
	out := &productv1.ListStockLedgerResponse{TotalSize: page.Total}
	for _, e := range page.Entries {
		out.Entries = append(out.Entries, &productv1.StockLedgerEntry{
			Id: e.ID.String(), Delta: e.Delta, Reason: e.Reason, Reference: e.Reference, Actor: e.Actor, OnHandAfter: e.After.OnHand,
			At: timestamppb.New(e.At),
		})
	}
	if page.Next != uuid.Nil {
		out.NextPageToken, err = pagetoken.Encode(ledgerFingerprint(q), page.Next)
	}
	return out, err
}

func toReservation(req *productv1.ReserveStockRequest) (orderID uuid.UUID, lines []domain.Line, err error) {
	orderID, err = toID("order_id", req.GetOrderId())
	if err != nil {
		return uuid.Nil, nil, err
	}
	lines, err = toLines(req.GetLines())
	return orderID, lines, err
}

func toLines(sent []*productv1.StockLine) (lines []domain.Line, _ error) {
	for i, l := range sent {
		id, err := toID(fmt.Sprintf("lines[%d].product_id", i), l.GetProductId())
		if err != nil {
			return nil, err
		}
		lines = append(lines, domain.Line{ProductID: id, Quantity: l.GetQuantity()})
	}
	return lines, nil
}

func fromCategory(c domain.Category) *productv1.Category {
	out := &productv1.Category{
		Id: c.ID.String(), Slug: c.Slug, Name: c.Name, Description: c.Description, ProductCount: c.ProductCount, Version: c.Version,
	}
	if c.ParentID != uuid.Nil {
		out.ParentId = c.ParentID.String()
	}
	return out
}

func fromNode(n *domain.CategoryNode) *productv1.Category {
	out := fromCategory(n.Category)
	out.Children = fromNodes(n.Children)
	return out
}

func fromNodes(nodes []*domain.CategoryNode) []*productv1.Category {
	out := make([]*productv1.Category, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, fromNode(n))
	}
	return out
}

func fromMoney(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Amount: m.Amount(), Currency: m.Currency()}
}

func fromStock(s domain.Stock) *productv1.Stock {
	return &productv1.Stock{Available: s.Available(), OnHand: s.OnHand, Reserved: s.Reserved}
}

func fromProduct(p usecase.ProductView) *productv1.Product {
	out := &productv1.Product{
		Id: p.ID.String(), Sku: p.SKU, Slug: p.Slug, Name: p.Name, ShortDescription: p.ShortDescription, Description: p.Description,
		Price: fromMoney(p.Price), Attributes: p.Attributes, Status: fromStatus[p.Status], Stock: fromStock(p.Stock),
		Version: p.Version, CreatedAt: timestamppb.New(p.CreatedAt), UpdatedAt: timestamppb.New(p.UpdatedAt),
		Discount: fromDiscount(p.Discount),
	}
	if p.SalePrice != nil {
		out.SalePrice = fromMoney(*p.SalePrice)
	}
	for _, id := range p.CategoryIDs {
		out.CategoryIds = append(out.CategoryIds, id.String())
	}
	for _, image := range p.Images {
		out.Images = append(out.Images, &productv1.Image{Url: image.URL, Alt: image.Alt})
	}
	return out
}

func fromDiscount(d *domain.Discount) *productv1.Discount {
	if d == nil {
		return nil
	}
	out := &productv1.Discount{Type: fromDiscountType[d.Type], Value: d.Value}
	if !d.StartsAt.IsZero() {
		out.StartsAt = timestamppb.New(d.StartsAt)
	}
	if !d.EndsAt.IsZero() {
		out.EndsAt = timestamppb.New(d.EndsAt)
	}
	return out
}

func fromProducts(products []usecase.ProductView) []*productv1.Product {
	out := make([]*productv1.Product, 0, len(products))
	for _, p := range products {
		out = append(out, fromProduct(p))
	}
	return out
}

func fromProductPage(q usecase.ProductQuery, page usecase.ProductPage) (*productv1.ListProductsResponse, error) {
	out := &productv1.ListProductsResponse{Products: fromProducts(page.Products), TotalSize: page.Total}
	if page.Next == nil {
		return out, nil
	}
	var err error
	out.NextPageToken, err = pagetoken.Encode(fingerprint(q), page.Next)
	return out, err
}
