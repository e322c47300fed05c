package rpc

import (
	"context"
	"fmt"
	"strings"

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

func toProductDetails(req *productv1.CreateProductRequest) (domain.ProductDetails, error) {
	price, err := money.New(req.GetPrice().GetAmount(), req.GetPrice().GetCurrency())
	if err != nil {
		return domain.ProductDetails{}, apperr.InvalidField("price.currency", "It must be an ISO 4217 code.")
	}
	categories, err := toIDs("category_ids", req.GetCategoryIds())
	if err != nil {
		return domain.ProductDetails{}, err
	}
	d := domain.ProductDetails{
		SKU: req.GetSku(), Slug: req.GetSlug(), Name: req.GetName(), ShortDescription: req.GetShortDescription(),
		Description: req.GetDescription(), Price: price, CategoryIDs: categories, Attributes: req.GetAttributes(),
		Status: toStatus[req.GetStatus()],
	}
	for _, image := range req.GetImages() {
		d.Images = append(d.Images, domain.Image{URL: image.GetUrl(), Alt: image.GetAlt()})
	}
	return d, nil
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
	if q.After.Number < 0 || q.After.Number > 1<<53 || q.After.Text != domain.Fold(q.After.Text) {
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
	}
	for _, id := range p.CategoryIDs {
		out.CategoryIds = append(out.CategoryIds, id.String())
	}
	for _, image := range p.Images {
		out.Images = append(out.Images, &productv1.Image{Url: image.URL, Alt: image.Alt})
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
