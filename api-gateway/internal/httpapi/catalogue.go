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

type createCategoryInput struct {
	Body struct {
		Name        string `json:"name" minLength:"1" maxLength:"200" example:"Bicycles"`
		Slug        string `json:"slug,omitempty" maxLength:"100" doc:"Derived from the name unless given." example:"bicycles"`
		Description string `json:"description,omitempty" maxLength:"2000" example:"To ride in town and beyond."`
		ParentID    string `json:"parent_id,omitempty" format:"uuid" minLength:"36" maxLength:"36"`
	} `nameHint:"NewCategory"`
}

type createProductInput struct {
	Body struct {
		SKU              string            `json:"sku" minLength:"1" maxLength:"64" example:"BIKE-1"`
		Slug             string            `json:"slug,omitempty" maxLength:"100" doc:"Derived from the name unless given." example:"city-bicycle"`
		Name             string            `json:"name" minLength:"1" maxLength:"200" example:"City bicycle"`
		ShortDescription string            `json:"short_description,omitempty" maxLength:"500" example:"Seven gears, a basket and a bell."`
		Description      string            `json:"description,omitempty" maxLength:"20000"`
		Price            Money             `json:"price"`
		CategoryIDs      []string          `json:"category_ids,omitempty" maxItems:"20" uniqueItems:"true" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e21"`
		Images           []Image           `json:"images,omitempty" maxItems:"20"`
		Attributes       map[string]string `json:"attributes,omitempty" maxProperties:"50" example:"{\"colour\":\"green\"}"`
		Status           string            `json:"status,omitempty" enum:"draft,active,archived" doc:"draft unless given."`
	} `nameHint:"NewProduct"`
}

// idOrSlug is in the path of what can be asked for by either. What does not look like one names nothing.
type idOrSlug struct {
	IDOrSlug string `path:"id_or_slug" example:"bicycles" pattern:"^[A-Za-z0-9_-]{1,100}$"`
	IfNoneMatch
}

type listProductsInput struct {
	Query    string          `query:"q" maxLength:"200" example:"bicycle" doc:"Finds words, prefixes and small typos."`
	Category string          `query:"category" maxLength:"100" example:"bicycles" doc:"An id or a slug; descendants are included."`
	MinPrice Optional[int64] `query:"min_price" minimum:"0" doc:"Minor units."`
	MaxPrice Optional[int64] `query:"max_price" minimum:"0" doc:"Minor units."`
	InStock  Optional[bool]  `query:"in_stock"`
	Sort     string          `query:"sort" enum:"newest,price,-price,name,relevance" doc:"newest, or relevance if q is given."`
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
	}, s.createCategory, "slug_taken")
	register(s, huma.Operation{
		OperationID: "list-categories", Method: http.MethodGet, Path: base + "/categories", Responses: notModified(),
		Summary: "The tree of categories", Tags: []string{"catalogue"},
		Description: "The roots, with their descendants in `children`.",
	}, s.listCategories)
	register(s, huma.Operation{
		OperationID: "get-category", Method: http.MethodGet, Path: base + "/categories/{id_or_slug}", Responses: notModified(),
		Summary: "A category with its descendants", Tags: []string{"catalogue"},
	}, s.getCategory)
	register(s, huma.Operation{
		OperationID: "create-product", Method: http.MethodPost, Path: base + "/products", DefaultStatus: http.StatusCreated,
		Summary: "Create a product", Tags: []string{"catalogue"},
		Description: "It has no stock until that is adjusted, and is shown to customers when it is `active`.",
		Metadata:    map[string]any{metaExample: exampleNewProduct},
	}, s.createProduct, "sku_taken", "slug_taken")
	register(s, huma.Operation{
		OperationID: "list-products", Method: http.MethodGet, Path: base + "/products", Responses: notModified(),
		Summary: "Active products", Tags: []string{"catalogue"},
		Description: "A page token is good for the same query only.",
	}, s.listProducts)
	register(s, huma.Operation{
		OperationID: "get-product", Method: http.MethodGet, Path: base + "/products/{id_or_slug}", Responses: notModified(),
		Summary: "A product", Tags: []string{"catalogue"},
		Description: "Drafts and archived products are shown to staff only; to everybody else they are 404.",
	}, s.getProduct)
}

func (s *Server) createCategory(ctx context.Context, in *createCategoryInput) (*created[Category], error) {
	answer, err := s.services.Catalog.CreateCategory(ctx, &productv1.CreateCategoryRequest{
		Name: in.Body.Name, Slug: in.Body.Slug, Description: in.Body.Description, ParentId: in.Body.ParentID,
	})
	if err != nil {
		return nil, err
	}
	c := categoryOf(answer.GetCategory())
	return &created[Category]{Location: locationOf("categories", c.ID), ETag: etag(c.Version), Body: c}, nil
}

func (s *Server) getCategory(ctx context.Context, in *idOrSlug) (*Cacheable[Category], error) {
	answer, err := s.services.Catalog.GetCategory(ctx, &productv1.GetCategoryRequest{IdOrSlug: in.IDOrSlug})
	if err != nil {
		return nil, err
	}
	c := categoryOf(answer.GetCategory())
	return cacheable(in.IfNoneMatch, isStaff(ctx), &c.Version, c)
}

func (s *Server) listCategories(ctx context.Context, in *IfNoneMatch) (*Cacheable[List[Category]], error) {
	answer, err := s.services.Catalog.ListCategories(ctx, &productv1.ListCategoriesRequest{})
	if err != nil {
		return nil, err
	}
	return cacheable(*in, isStaff(ctx), nil, List[Category]{Items: convertAll(answer.GetCategories(), categoryOf)})
}

func (s *Server) createProduct(ctx context.Context, in *createProductInput) (*created[Product], error) {
	answer, err := s.services.Catalog.CreateProduct(ctx, &productv1.CreateProductRequest{
		Sku: in.Body.SKU, Slug: in.Body.Slug, Name: in.Body.Name,
		ShortDescription: in.Body.ShortDescription, Description: in.Body.Description,
		Price: in.Body.Price.proto(), CategoryIds: in.Body.CategoryIDs,
		Images: convertAll(in.Body.Images, func(i Image) *productv1.Image {
			return &productv1.Image{Url: i.URL, Alt: i.Alt}
		}),
		Attributes: in.Body.Attributes,
		Status:     enumValue[productv1.ProductStatus](productv1.ProductStatus_value, "PRODUCT_STATUS_", in.Body.Status),
	})
	if err != nil {
		return nil, err
	}
	p := productOf(answer.GetProduct(), isStaff(ctx))
	return &created[Product]{Location: locationOf("products", p.ID), ETag: etag(p.Version), Body: p}, nil
}

func (s *Server) getProduct(ctx context.Context, in *idOrSlug) (*Cacheable[Product], error) {
	answer, err := s.services.Catalog.GetProduct(ctx, &productv1.GetProductRequest{IdOrSlug: in.IDOrSlug})
	if err != nil {
		return nil, err
	}
	p := productOf(answer.GetProduct(), isStaff(ctx))
	return cacheable(in.IfNoneMatch, isStaff(ctx), &p.Version, p)
}

func (s *Server) listProducts(ctx context.Context, in *listProductsInput) (*Cacheable[Page[Product]], error) {
	answer, err := s.services.Catalog.ListProducts(ctx, &productv1.ListProductsRequest{
		Query: in.Query, Category: in.Category,
		MinPrice: in.MinPrice.pointer(), MaxPrice: in.MaxPrice.pointer(), InStock: in.InStock.pointer(),
		Sort:     productSorts[in.Sort],
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	staff := isStaff(ctx)
	return cacheable(in.IfNoneMatch, staff, nil, Page[Product]{
		Items:         convertAll(answer.GetProducts(), func(p *productv1.Product) Product { return productOf(p, staff) }),
		NextPageToken: answer.GetNextPageToken(),
		TotalSize:     answer.TotalSize,
	})
}

// isStaff reports whether the caller is shown what is for staff.
func isStaff(ctx context.Context) bool {
	p, ok := auth.FromContext(ctx)
	return ok && p.IsStaff()
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
		Price: money(p.GetPrice(), ""), SalePrice: optionalMoney(p.GetSalePrice()),
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
