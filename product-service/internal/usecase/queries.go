package usecase

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
)

// ProductView is a product with its stock, as readers see it.
type ProductView struct {
	domain.ProductSnapshot
	Stock domain.Stock
	// SalePrice is what a customer pays now if that is less than the price, else nil. Stores leave it.
	SalePrice *money.Money
}

// priced returns the view with what a customer pays at a time.
func (v ProductView) priced(at time.Time) (ProductView, error) {
	sale, less, err := v.ProductSnapshot.SalePrice(at)
	if less {
		v.SalePrice = &sale
	}
	return v, err
}

// Sort is the order of a list of products.
type Sort string

// The orders. Relevance is for searches only.
const (
	SortNewest    Sort = "newest"
	SortPriceAsc  Sort = "price"
	SortPriceDesc Sort = "-price"
	SortName      Sort = "name"
	SortRelevance Sort = "relevance"
)

// Cursor is the place of a product in a list: what the list is sorted by, and the id where that is equal. The next page
// begins behind it.
type Cursor struct {
	Fit    int    `json:"f,omitempty"` // by relevance: how well the product fits, before the time
	Number int64  `json:"n,omitempty"` // the price, or the time of creation in microseconds
	Text   string `json:"t,omitempty"` // the folded name
	ID     uuid.UUID
	// Corrections are those of the first page's search, which the others keep.
	Corrections domain.Corrections `json:"c,omitempty"`
}

// Place returns the place of a product in a list.
func (s Sort) Place(p ProductView, fit int) Cursor {
	c := Cursor{ID: p.ID}
	switch s {
	case SortPriceAsc, SortPriceDesc:
		c.Number = p.Price.Amount()
	case SortName:
		c.Text = domain.Fold(p.Name)
	case SortRelevance:
		c.Fit, c.Number = fit, p.CreatedAt.UnixMicro()
	default:
		c.Number = p.CreatedAt.UnixMicro()
	}
	return c
}

// ProductQuery says which active products are wanted, and in which order.
type ProductQuery struct {
	Text     string // words and beginnings of words
	Category string // an id or a slug; its descendants are included
	MinPrice *int64 // minor units
	MaxPrice *int64
	InStock  *bool
	Sort     Sort // Relevance for a search and else Newest when empty
	After    *Cursor
	PageSize int
	// IncludeTotal asks for the number of all products that match.
	IncludeTotal bool
	// Corrections are what words of the text are taken for instead. FindProducts of Queries finds them.
	Corrections domain.Corrections
}

// LedgerQuery says which changes of a product's stock are wanted, the newest first.
type LedgerQuery struct {
	ProductID uuid.UUID
	// After is the entry behind which the page begins, uuid.Nil for the newest. An unknown one has nothing behind it.
	After        uuid.UUID
	PageSize     int
	IncludeTotal bool
}

// LedgerPage is a part of a product's ledger.
type LedgerPage struct {
	Entries []domain.LedgerEntry
	Next    uuid.UUID // where the next page begins behind, uuid.Nil on the last one
	Total   *int64    // nil unless it was asked for
}

// LedgerReader reads the ledger of the stock.
type LedgerReader interface {
	// Ledger returns a page of a product's entries in the order in which they took effect, the last one first. Error:
	// ErrProductMissing.
	Ledger(ctx context.Context, q LedgerQuery) (LedgerPage, error)
}

// ProductPage is a part of a list.
type ProductPage struct {
	Products []ProductView
	Next     *Cursor // nil on the last page
	Total    *int64  // nil unless it was asked for
}

// ProductReader reads products.
type ProductReader interface {
	// Product returns one product in any state. Error: ErrProductMissing.
	Product(ctx context.Context, ref domain.Ref) (ProductView, error)
	// Products returns those of the products that there are, in any state and order.
	Products(ctx context.Context, ids []uuid.UUID) ([]ProductView, error)
	// FindProducts returns a page of active products. The query's sort is set. By relevance, what fits better comes first, and
	// then what is newer.
	FindProducts(ctx context.Context, q ProductQuery) (ProductPage, error)
	// Corrections corrects those words of a search that begin no word that a product has, or had.
	Corrections(ctx context.Context, words []string) (domain.Corrections, error)
}

// CategoryReader reads categories.
type CategoryReader interface {
	// Categories returns all categories, with their product counts, in any order.
	Categories(ctx context.Context) ([]domain.Category, error)
}

// Queries reads the catalogue and the ledger.
type Queries struct {
	products   ProductReader
	categories CategoryReader
	ledger     LedgerReader
	now        func() time.Time
}

// NewQueries returns the reads of a catalogue. Prices are those of the clock's time.
func NewQueries(products ProductReader, categories CategoryReader, ledger LedgerReader, now func() time.Time) *Queries {
	return &Queries{products: products, categories: categories, ledger: ledger, now: clock(now)}
}

// Product returns a product by id or slug. One that the viewer may not see is ErrProductMissing, as one that is not there.
func (q *Queries) Product(ctx context.Context, viewer auth.Principal, idOrSlug string) (ProductView, error) {
	p, err := q.products.Product(ctx, domain.ParseRef(idOrSlug))
	if err != nil {
		return ProductView{}, fmt.Errorf("get product %q: %w", idOrSlug, err)
	}
	if !p.Status.VisibleTo(viewer.IsStaff()) {
		return ProductView{}, domain.ErrProductMissing
	}
	shown := []ProductView{p}
	err = q.show(viewer, shown)
	return shown[0], err
}

// Products returns what there is of some products, inactive ones included: carts and orders decide what that means.
func (q *Queries) Products(ctx context.Context, viewer auth.Principal, ids []uuid.UUID) ([]ProductView, error) {
	products, err := q.products.Products(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("get products: %w", err)
	}
	return products, q.show(viewer, products)
}

// FindProducts returns a page of active products.
func (q *Queries) FindProducts(ctx context.Context, viewer auth.Principal, query ProductQuery) (ProductPage, error) {
	if query.MinPrice != nil && query.MaxPrice != nil && *query.MinPrice > *query.MaxPrice {
		return ProductPage{}, invalid("min_price", "It must not be more than max_price.")
	}
	query.Sort = query.EffectiveSort()
	if query.After != nil {
		query.Corrections = query.After.Corrections
	}
	page, err := q.products.FindProducts(ctx, query)
	if err == nil && len(page.Products) == 0 && query.Text != "" && query.After == nil {
		// Typos cost something only where the words as they are find nothing.
		query.Corrections, err = q.products.Corrections(ctx, domain.SearchWords(query.Text))
		if err == nil && len(query.Corrections) > 0 {
			page, err = q.products.FindProducts(ctx, query)
		}
	}
	if err != nil {
		return ProductPage{}, fmt.Errorf("find products: %w", err)
	}
	if page.Next != nil {
		page.Next.Corrections = query.Corrections
	}
	return page, q.show(viewer, page.Products)
}

// show prices products as of now, and takes from viewers who are not staff the discounts that don't apply now: what comes is
// a secret of the shop, and what is over misleads.
func (q *Queries) show(viewer auth.Principal, products []ProductView) error {
	now := q.now()
	for i, p := range products {
		shown, err := p.priced(now)
		if err != nil {
			return err
		}
		if !viewer.IsStaff() && !shown.Discount.AppliesAt(now) {
			shown.Discount = nil
		}
		products[i] = shown
	}
	return nil
}

// Ledger returns a page of the changes of a product's stock.
func (q *Queries) Ledger(ctx context.Context, query LedgerQuery) (LedgerPage, error) {
	page, err := q.ledger.Ledger(ctx, query)
	if err != nil {
		return LedgerPage{}, fmt.Errorf("list stock ledger of %s: %w", query.ProductID, err)
	}
	return page, nil
}

// EffectiveSort is the order in which the products are answered.
func (q ProductQuery) EffectiveSort() Sort {
	searching := q.Text != ""
	switch {
	case q.Sort == "" && searching:
		return SortRelevance
	case q.Sort == "" || (q.Sort == SortRelevance && !searching):
		return SortNewest
	default:
		return q.Sort
	}
}

// Categories returns the whole tree.
func (q *Queries) Categories(ctx context.Context) ([]*domain.CategoryNode, error) {
	categories, err := q.categories.Categories(ctx)
	if err != nil {
		return nil, fmt.Errorf("list categories: %w", err)
	}
	return domain.BuildTree(categories), nil
}

// Category returns a category with its descendants, by id or slug.
func (q *Queries) Category(ctx context.Context, idOrSlug string) (*domain.CategoryNode, error) {
	roots, err := q.Categories(ctx)
	if err != nil {
		return nil, err
	}
	if found := domain.FindNode(roots, domain.ParseRef(idOrSlug)); found != nil {
		return found, nil
	}
	return nil, domain.ErrCategoryMissing
}
