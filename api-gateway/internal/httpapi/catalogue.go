package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/auth"
	productv1 "shop.example/proto/product/v1"
)

// Category is a node of the tree.
type Category struct {
	ID           string     `json:"id" format:"uuid"`
	Slug         string     `json:"slug"`
	Name         string     `json:"name"`
	Description  string     `json:"description"`
	ParentID     *string    `json:"parent_id" format:"uuid" doc:"null for a root."`
	Children     []Category `json:"children"`
	ProductCount int64      `json:"product_count" doc:"Active products in it and its descendants."`
	Version      int64      `json:"version"`
}

// Image is a picture of a product.
type Image struct {
	URL string `json:"url" format:"uri" maxLength:"2048" example:"https://images.shop.example/bike-1.jpg"`
	Alt string `json:"alt" required:"false" maxLength:"500" example:"A green city bicycle."`
}

// Stock is how many there are.
type Stock struct {
	Available int64  `json:"available"`
	OnHand    *int64 `json:"on_hand,omitempty" doc:"For staff."`
	Reserved  *int64 `json:"reserved,omitempty" doc:"For staff."`
}

// Discount lowers the price of a product for a time.
type Discount struct {
	Type     string     `json:"type" enum:"percent,fixed" example:"percent"`
	Value    int64      `json:"value" minimum:"1" doc:"A whole percentage (1 to 100), or minor units of the price's currency." example:"20"`
	StartsAt *time.Time `json:"starts_at,omitempty" doc:"At once if it is absent."`
	EndsAt   *time.Time `json:"ends_at,omitempty" doc:"At this moment it is over; never if it is absent." example:"2026-03-31T22:00:00Z"`
}

func (d *Discount) proto() *productv1.Discount {
	if d == nil {
		return nil
	}
	return &productv1.Discount{
		Type:  enumValue[productv1.DiscountType](productv1.DiscountType_value, "DISCOUNT_TYPE_", d.Type),
		Value: d.Value, StartsAt: timestamp(d.StartsAt), EndsAt: timestamp(d.EndsAt),
	}
}

func discountOf(d *productv1.Discount) *Discount {
	if d == nil {
		return nil
	}
	return &Discount{
		Type: enumName(d.GetType(), "DISCOUNT_TYPE_"), Value: d.GetValue(),
		StartsAt: optionalInstant(d.GetStartsAt()), EndsAt: optionalInstant(d.GetEndsAt()),
	}
}

// Product is what the shop sells.
type Product struct {
	ID               string            `json:"id" format:"uuid"`
	SKU              string            `json:"sku"`
	Slug             string            `json:"slug"`
	Name             string            `json:"name"`
	ShortDescription string            `json:"short_description"`
	Description      string            `json:"description"`
	Price            Money             `json:"price"`
	SalePrice        *Money            `json:"sale_price,omitempty" doc:"What a customer pays now, if it is less than the price."`
	Discount         *Discount         `json:"discount,omitempty" doc:"To customers it is shown while it applies, to staff always."`
	CategoryIDs      []string          `json:"category_ids"`
	Images           []Image           `json:"images"`
	Attributes       map[string]string `json:"attributes"`
	Status           string            `json:"status" enum:"draft,active,archived"`
	Stock            Stock             `json:"stock"`
	Version          int64             `json:"version"`
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`
}

// created is the answer to the creation of a resource with a version.
type created[T any] struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     T
}

// changed is the answer to the change of a resource with a version.
type changed[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

type createCategoryInput struct {
	Body struct {
		Name        string `json:"name" minLength:"1" maxLength:"200" example:"Bicycles"`
		Slug        string `json:"slug,omitempty" maxLength:"100" doc:"Derived from the name unless given." example:"bicycles"`
		Description string `json:"description,omitempty" maxLength:"2000" example:"To ride in town and beyond."`
		ParentID    string `json:"parent_id,omitempty" format:"uuid" minLength:"36" maxLength:"36" nullable:"true" doc:"None for a root."`
	} `nameHint:"NewCategory"`
}

type updateCategoryInput struct {
	ByID
	IfMatch
	Body struct {
		Name        *string          `json:"name,omitempty" minLength:"1" maxLength:"200" example:"Bicycles and more"`
		Slug        *string          `json:"slug,omitempty" minLength:"1" maxLength:"100"`
		Description *string          `json:"description,omitempty" maxLength:"2000"`
		ParentID    Nullable[string] `json:"parent_id,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"null makes it a root."`
	} `nameHint:"CategoryChange"`
}

type deleteByIDInput struct {
	ByID
	IfMatch
}

type createProductInput struct {
	Body struct {
		SKU              string             `json:"sku" minLength:"1" maxLength:"64" example:"BIKE-1"`
		Slug             string             `json:"slug,omitempty" maxLength:"100" doc:"Derived from the name unless given." example:"city-bicycle"`
		Name             string             `json:"name" minLength:"1" maxLength:"200" example:"City bicycle"`
		ShortDescription string             `json:"short_description,omitempty" maxLength:"500" example:"Seven gears, a basket and a bell."`
		Description      string             `json:"description,omitempty" maxLength:"20000"`
		Price            Money              `json:"price"`
		Discount         Nullable[Discount] `json:"discount,omitempty"`
		CategoryIDs      []string           `json:"category_ids,omitempty" format:"uuid" maxItems:"20" uniqueItems:"true" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e21"`
		Images           []Image            `json:"images,omitempty" maxItems:"20"`
		Attributes       map[string]string  `json:"attributes,omitempty" maxProperties:"50" example:"{\"colour\":\"green\"}"`
		Status           string             `json:"status,omitempty" enum:"draft,active,archived" doc:"draft unless given."`
	} `nameHint:"NewProduct"`
}

type updateProductInput struct {
	ByID
	IfMatch
	Body struct {
		SKU              *string            `json:"sku,omitempty" minLength:"1" maxLength:"64"`
		Slug             *string            `json:"slug,omitempty" minLength:"1" maxLength:"100"`
		Name             *string            `json:"name,omitempty" minLength:"1" maxLength:"200"`
		ShortDescription *string            `json:"short_description,omitempty" maxLength:"500"`
		Description      *string            `json:"description,omitempty" maxLength:"20000"`
		Price            *Money             `json:"price,omitempty"`
		Discount         Nullable[Discount] `json:"discount,omitempty" doc:"null takes it away."`
		CategoryIDs      []string           `json:"category_ids,omitempty" format:"uuid" maxItems:"20" uniqueItems:"true" doc:"All of them, in place of those before."`
		Images           []Image            `json:"images,omitempty" maxItems:"20" doc:"All of them, in place of those before."`
		Attributes       map[string]string  `json:"attributes,omitempty" maxProperties:"50" doc:"All of them, in place of those before."`
		Status           string             `json:"status,omitempty" enum:"draft,active,archived" example:"active"`
	} `nameHint:"ProductChange"`
}

// idOrSlug is in the path of what can be asked for by either. What does not look like one names nothing.
type idOrSlug struct {
	IDOrSlug string `path:"id" doc:"An id or a slug." example:"bicycles" pattern:"^[A-Za-z0-9_-]{1,100}$"`
	IfNoneMatch
}

type listProductsInput struct {
	Query    string          `query:"q" maxLength:"200" example:"bicycle" doc:"Finds words, prefixes and small typos."`
	Category string          `query:"category" maxLength:"100" example:"bicycles" doc:"An id or a slug; descendants are included."`
	MinPrice Optional[int64] `query:"min_price" minimum:"0" doc:"Of the list price (price), in minor units."`
	MaxPrice Optional[int64] `query:"max_price" minimum:"0" doc:"Of the list price (price), in minor units."`
	InStock  Optional[bool]  `query:"in_stock"`
	Sort     string          `query:"sort" enum:"newest,price,-price,name,relevance" doc:"newest, or relevance if q is given. The price is the list price."`
	Paging
	IfNoneMatch
}

var productSorts = map[string]productv1.ProductSort{
	"newest":    productv1.ProductSort_PRODUCT_SORT_NEWEST,
	"price":     productv1.ProductSort_PRODUCT_SORT_PRICE_ASC,
	"-price":    productv1.ProductSort_PRODUCT_SORT_PRICE_DESC,
	"name":      productv1.ProductSort_PRODUCT_SORT_NAME,
	"relevance": productv1.ProductSort_PRODUCT_SORT_RELEVANCE,
}

func (s *Server) registerCatalogue() {
	register(s, huma.Operation{
		OperationID: "create-category", Method: http.MethodPost, Path: base + "/categories", DefaultStatus: http.StatusCreated,
		Summary: "Create a category", Tags: []string{"catalogue"},
		Description: "A slug that is derived from the name gives way to one that is taken.",
	}, s.createCategory, "slug_taken")
	register(s, huma.Operation{
		OperationID: "list-categories", Method: http.MethodGet, Path: base + "/categories", Responses: notModified(),
		Summary: "The tree of categories", Tags: []string{"catalogue"},
		Description: "The roots, with their descendants in `children`.",
	}, s.listCategories)
	register(s, huma.Operation{
		OperationID: "get-category", Method: http.MethodGet, Path: base + "/categories/{id}", Responses: notModified(),
		Summary: "A category with its descendants", Tags: []string{"catalogue"},
	}, s.getCategory)
	register(s, huma.Operation{
		OperationID: "update-category", Method: http.MethodPatch, Path: base + "/categories/{id}",
		Summary: "Change a category", Tags: []string{"catalogue"},
		Description: "What is left out stays as it is. With `parent_id` it moves, along with all below it; below itself it can't: 409 `category_cycle`.",
		Metadata:    map[string]any{metaExample: exampleChangedCategory},
	}, s.updateCategory, "slug_taken", "category_cycle")
	register(s, huma.Operation{
		OperationID: "delete-category", Method: http.MethodDelete, Path: base + "/categories/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Delete a category", Tags: []string{"catalogue"},
		Description: "One that has products, in whatever status, or categories below it is 409 `category_in_use`.",
	}, s.deleteCategory, "category_in_use")
	register(s, huma.Operation{
		OperationID: "create-product", Method: http.MethodPost, Path: base + "/products", DefaultStatus: http.StatusCreated,
		Summary: "Create a product", Tags: []string{"catalogue"},
		Description: "It has no stock until that is adjusted, and is shown to customers when it is `active`.",
		Metadata:    map[string]any{metaExample: exampleNewProduct},
	}, s.createProduct, "sku_taken", "slug_taken")
	register(s, huma.Operation{
		OperationID: "list-products", Method: http.MethodGet, Path: base + "/products", Responses: notModified(),
		Summary: "Active products", Tags: []string{"catalogue"},
		Description: "A page token is good for the same query only. `total_size` is exact up to 10,000, and for the whole list or a category always; " +
			"of what matches more often otherwise it is an estimate.",
	}, s.listProducts)
	register(s, huma.Operation{
		OperationID: "get-product", Method: http.MethodGet, Path: base + "/products/{id}", Responses: notModified(),
		Summary: "A product", Tags: []string{"catalogue"},
		Description: "Drafts and archived products are shown to staff only; to everybody else they are 404.",
	}, s.getProduct)
}

func (s *Server) registerProductChanges() {
	register(s, huma.Operation{
		OperationID: "update-product", Method: http.MethodPatch, Path: base + "/products/{id}",
		Summary: "Change a product", Tags: []string{"catalogue"},
		Description: "What is left out stays as it is. Carts show the new price at once; orders keep the old one.",
		Metadata:    map[string]any{metaExample: exampleStaffProduct},
	}, s.updateProduct, "sku_taken", "slug_taken")
	register(s, huma.Operation{
		OperationID: "archive-product", Method: http.MethodDelete, Path: base + "/products/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Take a product off sale", Tags: []string{"catalogue"},
		Description: "It becomes `archived`: only staff see it, and nobody can buy it. Orders and the ledger of its stock keep naming it; a " +
			"change of its `status` brings it back.",
	}, s.archiveProduct)
}

func (s *Server) createCategory(ctx context.Context, in *createCategoryInput) (*created[Category], error) {
	answer, err := s.services.Catalog.CreateCategory(ctx, &productv1.CreateCategoryRequest{
		Name: in.Body.Name, Slug: in.Body.Slug, Description: in.Body.Description, ParentId: in.Body.ParentID,
	})
	if err != nil {
		return nil, err
	}
	c := categoryOf(answer.GetCategory())
	tag, err := etagOf(c.Version, c)
	return &created[Category]{Location: locationOf("categories", c.ID), ETag: tag, Body: c}, err
}

func (s *Server) updateCategory(ctx context.Context, in *updateCategoryInput) (*changed[Category], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	request := &productv1.UpdateCategoryRequest{
		CategoryId: in.ID, IfVersion: version, Name: in.Body.Name, Slug: in.Body.Slug, Description: in.Body.Description,
	}
	if in.Body.ParentID.IsSet {
		request.ParentId = new(in.Body.ParentID.orZero())
	}
	answer, err := s.services.Catalog.UpdateCategory(ctx, request)
	if err != nil {
		return nil, err
	}
	c := categoryOf(answer.GetCategory())
	tag, err := etagOf(c.Version, c)
	return &changed[Category]{ETag: tag, Body: c}, err
}

func (s *Server) deleteCategory(ctx context.Context, in *deleteByIDInput) (*noOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	_, err = s.services.Catalog.DeleteCategory(ctx, &productv1.DeleteCategoryRequest{CategoryId: in.ID, IfVersion: version})
	return &noOutput{}, err
}

func (s *Server) getCategory(ctx context.Context, in *idOrSlug) (*Cacheable[Category], error) {
	return publicRead(ctx, s, in.IfNoneMatch, s.services.Catalog.GetCategory, &productv1.GetCategoryRequest{IdOrSlug: in.IDOrSlug},
		func(a *productv1.GetCategoryResponse, _ bool) (Category, *int64) {
			c := categoryOf(a.GetCategory())
			return c, &c.Version
		})
}

func (s *Server) listCategories(ctx context.Context, in *IfNoneMatch) (*Cacheable[List[Category]], error) {
	return publicRead(ctx, s, *in, s.services.Catalog.ListCategories, &productv1.ListCategoriesRequest{},
		func(a *productv1.ListCategoriesResponse, _ bool) (List[Category], *int64) {
			return List[Category]{Items: convertAll(a.GetCategories(), categoryOf)}, nil
		})
}

func (s *Server) createProduct(ctx context.Context, in *createProductInput) (*created[Product], error) {
	answer, err := s.services.Catalog.CreateProduct(ctx, &productv1.CreateProductRequest{
		Sku: in.Body.SKU, Slug: in.Body.Slug, Name: in.Body.Name,
		ShortDescription: in.Body.ShortDescription, Description: in.Body.Description,
		Price: in.Body.Price.proto(), Discount: in.Body.Discount.Value.proto(), CategoryIds: in.Body.CategoryIDs,
		Images: imagesProto(in.Body.Images), Attributes: in.Body.Attributes, Status: productStatus(in.Body.Status),
	})
	if err != nil {
		return nil, err
	}
	p := productOf(answer.GetProduct(), isStaff(ctx))
	tag, err := etagOf(p.Version, p)
	return &created[Product]{Location: locationOf("products", p.ID), ETag: tag, Body: p}, err
}

func (s *Server) updateProduct(ctx context.Context, in *updateProductInput) (*changed[Product], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	b := in.Body
	request := &productv1.UpdateProductRequest{
		ProductId: in.ID, IfVersion: version,
		Sku: b.SKU, Slug: b.Slug, Name: b.Name, ShortDescription: b.ShortDescription, Description: b.Description,
		Price: b.Price.proto(), Discount: b.Discount.Value.proto(), RemoveDiscount: b.Discount.isNull(),
	}
	if b.CategoryIDs != nil {
		request.CategoryIds = &productv1.CategoryIds{Ids: b.CategoryIDs}
	}
	if b.Images != nil {
		request.Images = &productv1.Images{Images: imagesProto(b.Images)}
	}
	if b.Attributes != nil {
		request.Attributes = &productv1.Attributes{Values: b.Attributes}
	}
	if b.Status != "" {
		request.Status = productStatus(b.Status).Enum()
	}
	answer, err := s.services.Catalog.UpdateProduct(ctx, request)
	if err != nil {
		return nil, err
	}
	p := productOf(answer.GetProduct(), isStaff(ctx))
	tag, err := etagOf(p.Version, p)
	return &changed[Product]{ETag: tag, Body: p}, err
}

func (s *Server) archiveProduct(ctx context.Context, in *deleteByIDInput) (*noOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	_, err = s.services.Catalog.ArchiveProduct(ctx, &productv1.ArchiveProductRequest{ProductId: in.ID, IfVersion: version})
	return &noOutput{}, err
}

func (s *Server) getProduct(ctx context.Context, in *idOrSlug) (*Cacheable[Product], error) {
	return publicRead(ctx, s, in.IfNoneMatch, s.services.Catalog.GetProduct, &productv1.GetProductRequest{IdOrSlug: in.IDOrSlug},
		func(a *productv1.GetProductResponse, staff bool) (Product, *int64) {
			p := productOf(a.GetProduct(), staff)
			return p, &p.Version
		})
}

func (s *Server) listProducts(ctx context.Context, in *listProductsInput) (*Cacheable[Page[Product]], error) {
	question := &productv1.ListProductsRequest{
		Query: in.Query, Category: in.Category,
		MinPrice: in.MinPrice.pointer(), MaxPrice: in.MaxPrice.pointer(), InStock: in.InStock.pointer(),
		Sort:     productSorts[in.Sort],
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	}
	return publicRead(ctx, s, in.IfNoneMatch, s.services.Catalog.ListProducts, question,
		func(a *productv1.ListProductsResponse, staff bool) (Page[Product], *int64) {
			return Page[Product]{
				Items:         convertAll(a.GetProducts(), func(p *productv1.Product) Product { return productOf(p, staff) }),
				NextPageToken: a.GetNextPageToken(),
				TotalSize:     a.TotalSize,
			}, nil
		})
}

// isStaff reports whether the caller is shown what is for staff.
func isStaff(ctx context.Context) bool {
	p, ok := auth.FromContext(ctx)
	return ok && p.IsStaff()
}

func productStatus(name string) productv1.ProductStatus {
	return enumValue[productv1.ProductStatus](productv1.ProductStatus_value, "PRODUCT_STATUS_", name)
}

func imagesProto(images []Image) []*productv1.Image {
	return convertAll(images, func(i Image) *productv1.Image { return &productv1.Image{Url: i.URL, Alt: i.Alt} })
}

func categoryOf(c *productv1.Category) Category {
	category := Category{
		ID: c.GetId(), Slug: c.GetSlug(), Name: c.GetName(), Description: c.GetDescription(),
		Children: convertAll(c.GetChildren(), categoryOf), ProductCount: c.GetProductCount(), Version: c.GetVersion(),
	}
	if parent := c.GetParentId(); parent != "" {
		category.ParentID = &parent
	}
	return category
}

func productOf(p *productv1.Product, staff bool) Product {
	product := Product{
		ID: p.GetId(), SKU: p.GetSku(), Slug: p.GetSlug(), Name: p.GetName(),
		ShortDescription: p.GetShortDescription(), Description: p.GetDescription(),
		Price: money(p.GetPrice(), ""), SalePrice: optionalMoney(p.GetSalePrice()), Discount: discountOf(p.GetDiscount()),
		CategoryIDs: append([]string{}, p.GetCategoryIds()...),
		Images: convertAll(p.GetImages(), func(i *productv1.Image) Image {
			return Image{URL: i.GetUrl(), Alt: i.GetAlt()}
		}),
		Attributes: p.GetAttributes(),
		Status:     enumName(p.GetStatus(), "PRODUCT_STATUS_"),
		Stock:      stockOf(p.GetStock(), staff),
		Version:    p.GetVersion(),
		CreatedAt:  instant(p.GetCreatedAt()), UpdatedAt: instant(p.GetUpdatedAt()),
	}
	if product.Attributes == nil {
		product.Attributes = map[string]string{}
	}
	return product
}
