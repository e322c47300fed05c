package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shop.example/platform/postgres"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// The lock of the catalogue: the letters of "products" as a number, for the keys of such locks are numbers. An import has
// it alone for the part of a second that its batch takes, so what it has read of SKUs and slugs stays true until it has
// written; a single change shares it.
const (
	lockCatalogue  = `SELECT pg_advisory_xact_lock(8102661156849808499)`
	shareCatalogue = `SELECT pg_advisory_xact_lock_shared(8102661156849808499)`
)

// CreateProduct implements usecase.ProductStore.
func (s *Store) CreateProduct(ctx context.Context, product *domain.Product) (err error) {
	defer translate(&err)
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, shareCatalogue); err != nil {
			return fmt.Errorf("share the catalogue: %w", err)
		}
		return writeOne(ctx, tx, product)
	})
}

// UpdateProduct implements usecase.ProductStore. The row's lock lets orders reserve the product meanwhile.
func (s *Store) UpdateProduct(ctx context.Context, id uuid.UUID, change func(*domain.Product) error) (_ usecase.ProductView, err error) {
	defer translate(&err)
	return postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (usecase.ProductView, error) {
		var (
			batch pgx.Batch
			view  usecase.ProductView
		)
		batch.Queue(shareCatalogue)
		// A statement of its own: one that waits for the lock would read the product's categories as they were before.
		batch.Queue(`SELECT FROM products WHERE id = $1 FOR NO KEY UPDATE`, id)
		batch.Queue(`SELECT `+productColumns+` FROM products p JOIN stock s ON s.product_id = p.id WHERE p.id = $1`, id).
			Query(func(rows pgx.Rows) (err error) {
				view, err = pgx.CollectExactlyOneRow(rows, scanProduct)
				return err
			})
		err := tx.SendBatch(ctx, &batch).Close()
		if errors.Is(err, pgx.ErrNoRows) {
			return usecase.ProductView{}, domain.ErrProductMissing
		}
		if err != nil {
			return usecase.ProductView{}, fmt.Errorf("lock product: %w", err)
		}
		product := domain.RestoreProduct(view.ProductSnapshot)
		if err := change(product); err != nil {
			return usecase.ProductView{}, err
		}
		view.ProductSnapshot = product.Snapshot()
		if !product.Changed() {
			return view, nil
		}
		return view, writeOne(ctx, tx, product)
	})
}

// writeOne keeps a new or changed product, if its categories are there.
func writeOne(ctx context.Context, tx pgx.Tx, product *domain.Product) error {
	var (
		batch pgx.Batch
		known map[uuid.UUID]bool
		ids   = product.Snapshot().CategoryIDs
	)
	queueKnownCategories(&batch, ids, &known)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("lock categories: %w", err)
	}
	if len(known) < len(ids) {
		return domain.UnknownCategories(ids, known)
	}
	return write(ctx, tx, []*domain.Product{product})
}

// ImportProducts implements usecase.ProductStore, in thirteen statements at most, whatever there is to keep.
func (s *Store) ImportProducts(ctx context.Context, scope usecase.ImportScope, change func(usecase.ImportState) ([]*domain.Product, error)) (err error) {
	defer translate(&err)
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		var (
			batch pgx.Batch
			state = usecase.ImportState{SlugOwners: make(map[string]uuid.UUID)}
		)
		batch.Queue(lockCatalogue)
		batch.Queue(`SELECT `+productColumns+` FROM products p JOIN stock s ON s.product_id = p.id WHERE p.sku = ANY($1)`, scope.SKUs).
			Query(func(rows pgx.Rows) error {
				views, err := pgx.CollectRows(rows, scanProduct)
				for _, v := range views {
					state.Products = append(state.Products, domain.RestoreProduct(v.ProductSnapshot))
				}
				return err
			})
		batch.Queue(`SELECT slug, id FROM products WHERE slug = ANY($1)`, scope.Slugs).Query(func(rows pgx.Rows) error {
			var (
				slug string
				id   uuid.UUID
			)
			_, err := pgx.ForEachRow(rows, []any{&slug, &id}, func() error { state.SlugOwners[slug] = id; return nil })
			return err
		})
		queueKnownCategories(&batch, scope.Categories, &state.Categories)
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		products, err := change(state)
		if err != nil || len(products) == 0 {
			return err
		}
		return write(ctx, tx, products)
	})
}

// queueKnownCategories queues the question which of some categories there are, and keeps them until the transaction's end.
func queueKnownCategories(batch *pgx.Batch, ids []uuid.UUID, known *map[uuid.UUID]bool) {
	*known = make(map[uuid.UUID]bool)
	batch.Queue(`SELECT id FROM categories WHERE id = ANY($1) ORDER BY id FOR KEY SHARE`, ids).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error { (*known)[id] = true; return nil })
		return err
	})
}

// productRow is a row of products, by the names of its columns.
type productRow struct {
	ID               uuid.UUID         `json:"id"`
	SKU              string            `json:"sku"`
	Slug             string            `json:"slug"`
	Name             string            `json:"name"`
	ShortDescription string            `json:"short_description"`
	Description      string            `json:"description"`
	PriceAmount      int64             `json:"price_amount"`
	PriceCurrency    string            `json:"price_currency"`
	Images           []domain.Image    `json:"images"`
	Attributes       map[string]string `json:"attributes"`
	Status           string            `json:"status"`
	DiscountType     *string           `json:"discount_type"`
	DiscountValue    *int64            `json:"discount_value"`
	DiscountStartsAt *time.Time        `json:"discount_starts_at"`
	DiscountEndsAt   *time.Time        `json:"discount_ends_at"`
	Version          int64             `json:"version"`
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`
	FoldedName       string            `json:"folded_name"`
	FoldedText       string            `json:"folded_text"`
}

func newRow(p domain.ProductSnapshot) productRow {
	r := productRow{
		ID: p.ID, SKU: p.SKU, Slug: p.Slug, Name: p.Name, ShortDescription: p.ShortDescription, Description: p.Description,
		PriceAmount: p.Price.Amount(), PriceCurrency: p.Price.Currency(), Images: p.Images, Attributes: p.Attributes,
		Status: string(p.Status), Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		FoldedName: domain.Fold(p.Name), FoldedText: p.SearchText(),
	}
	if r.Images == nil {
		r.Images = []domain.Image{} // NULL is not an empty list
	}
	if r.Attributes == nil {
		r.Attributes = map[string]string{}
	}
	if d := p.Discount; d != nil {
		r.DiscountType, r.DiscountValue = new(string(d.Type)), &d.Value
		if !d.StartsAt.IsZero() {
			r.DiscountStartsAt = &d.StartsAt
		}
		if !d.EndsAt.IsZero() {
			r.DiscountEndsAt = &d.EndsAt
		}
	}
	return r
}

// The statements that keep many products at once. The rows come as one JSON document: a parameter for each column of each
// row would be too many, and an array for each column says the same three times.
const (
	rowsOf = `json_to_recordset($1) AS r(id uuid, sku text, slug text, name text, short_description text, description text,
		price_amount bigint, price_currency text, images jsonb, attributes jsonb, status text, discount_type text, discount_value bigint,
		discount_starts_at timestamptz, discount_ends_at timestamptz, version bigint, created_at timestamptz, updated_at timestamptz,
		folded_name text, folded_text text)`
	insertProducts = `INSERT INTO products (id, sku, slug, name, short_description, description, price_amount, price_currency, images,
			attributes, status, discount_type, discount_value, discount_starts_at, discount_ends_at, version, created_at, updated_at,
			folded_name, folded_text)
		SELECT r.id, r.sku, r.slug, r.name, r.short_description, r.description, r.price_amount, r.price_currency, r.images,
			r.attributes, r.status, r.discount_type, r.discount_value, r.discount_starts_at, r.discount_ends_at, r.version, r.created_at,
			r.updated_at, r.folded_name, r.folded_text FROM ` + rowsOf
	updateProducts = `UPDATE products p SET sku = r.sku, slug = r.slug, name = r.name, short_description = r.short_description,
			description = r.description, price_amount = r.price_amount, price_currency = r.price_currency, images = r.images,
			attributes = r.attributes, status = r.status, discount_type = r.discount_type, discount_value = r.discount_value,
			discount_starts_at = r.discount_starts_at, discount_ends_at = r.discount_ends_at, version = r.version,
			updated_at = r.updated_at, folded_name = r.folded_name, folded_text = r.folded_text
		FROM ` + rowsOf + ` WHERE p.id = r.id`
	// parkSlugs frees slugs that go from one of the products to another one in the same statement, where the order of the rows
	// is the database's. No product can ask for a slug that reads as an id.
	parkSlugs = `UPDATE products SET slug = id::text WHERE id = ANY($1)`
)

// write keeps products, new ones and changed ones, whose categories are locked.
func write(ctx context.Context, tx pgx.Tx, products []*domain.Product) error {
	var (
		inserted, updated []productRow
		added, parked     []uuid.UUID
		moved             []uuid.UUID // to other categories
		replaced          []uuid.UUID // within those that they are in
		words             []string
		to                struct {
			products, categories []uuid.UUID
			positions            []int16
		}
	)
	listed := make(differences)
	for _, p := range products {
		listed.change(p)
		s := p.Snapshot()
		words = append(words, s.Vocabulary()...)
		if p.New() {
			inserted, added = append(inserted, newRow(s)), append(added, s.ID)
		} else {
			updated = append(updated, newRow(s))
			if p.SlugChanged() && len(products) > 1 {
				parked = append(parked, s.ID)
			}
		}
		if !p.CategoriesChanged() {
			if p.PlaceChanged() {
				replaced = append(replaced, s.ID)
			}
			continue
		}
		moved = append(moved, s.ID)
		for i, id := range s.CategoryIDs {
			to.products, to.categories = append(to.products, s.ID), append(to.categories, id)
			to.positions = append(to.positions, int16(i))
		}
	}
	var batch pgx.Batch
	if len(parked) > 0 {
		batch.Queue(parkSlugs, parked)
	}
	if len(updated) > 0 {
		batch.Queue(updateProducts, updated).Exec(allRows(len(updated)))
	}
	if len(inserted) > 0 {
		batch.Queue(insertProducts, inserted)
		batch.Queue(`INSERT INTO stock (product_id, created_at) SELECT id, created_at FROM products WHERE id = ANY($1)`, added)
	}
	if len(moved) > 0 {
		batch.Queue(`DELETE FROM product_categories WHERE product_id = ANY($1)`, moved)
		batch.Queue(`INSERT INTO product_categories (product_id, category_id, position, active, created_at, price_amount, folded_name)
			SELECT p.id, c.category_id, c.position, p.status = 'active', p.created_at, p.price_amount, p.folded_name
			FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS c(product_id, category_id, position) JOIN products p ON p.id = c.product_id`,
			to.products, to.categories, to.positions)
	}
	if len(replaced) > 0 {
		batch.Queue(`UPDATE product_categories pc SET active = p.status = 'active', price_amount = p.price_amount, folded_name = p.folded_name
			FROM products p WHERE p.id = ANY($1) AND pc.product_id = p.id`, replaced)
	}
	if len(words) > 0 {
		// In their order: who brings a word that somebody else is just bringing waits for him.
		slices.Sort(words)
		batch.Queue(`INSERT INTO words (word) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING`, slices.Compact(words))
	}
	// The last one: the counts of a category are wanted by many writers, and held until the commit. All take them in one order.
	if sets := listed.sets(); len(sets) > 0 {
		batch.Queue(`INSERT INTO category_sets (category_ids, products)
			SELECT d.category_ids, d.products FROM json_to_recordset($1) AS d(category_ids uuid[], products bigint) ORDER BY d.category_ids
			ON CONFLICT ON CONSTRAINT category_sets_pkey DO UPDATE SET products = category_sets.products + excluded.products`, sets)
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("keep products: %w", err)
	}
	return nil
}

// differences are how many products more, or less, are in sets of categories, by the sorted ids of a set.
type differences map[string]difference

type difference struct {
	CategoryIDs []uuid.UUID `json:"category_ids"`
	Products    int64       `json:"products"`
}

// change adds the difference that a product makes.
func (d differences) change(p *domain.Product) {
	wasListed, isListed := p.Listed()
	before, now := p.ListedIn()
	if wasListed {
		d.add(before, -1)
	}
	if isListed {
		d.add(now, +1)
	}
}

func (d differences) add(ids []uuid.UUID, products int64) {
	ids = append([]uuid.UUID{}, ids...) // not nil, which is not the empty set
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	var key strings.Builder
	for _, id := range ids {
		key.Write(id[:])
	}
	d[key.String()] = difference{ids, d[key.String()].Products + products}
}

// sets returns those that differ.
func (d differences) sets() []difference {
	var all []difference
	for _, difference := range d {
		if difference.Products != 0 {
			all = append(all, difference)
		}
	}
	return all
}

// allRows checks that a statement has met all that it was told to.
func allRows(n int) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(n) {
			return fmt.Errorf("%d of %d rows changed", tag.RowsAffected(), n)
		}
		return nil
	}
}
