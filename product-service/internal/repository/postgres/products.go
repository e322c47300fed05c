package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Product implements usecase.ProductReader.
func (s *Store) Product(ctx context.Context, ref domain.Ref) (_ usecase.ProductView, err error) {
	defer translate(&err)
	where, key := "p.slug = $1", any(ref.Slug)
	if ref.ID != uuid.Nil {
		where, key = "p.id = $1", ref.ID
	}
	rows, err := s.pool.Query(ctx, `SELECT `+productColumns+` FROM products p JOIN stock s ON s.product_id = p.id WHERE `+where, key)
	if err != nil {
		return usecase.ProductView{}, err
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProduct)
	if errors.Is(err, pgx.ErrNoRows) {
		return usecase.ProductView{}, domain.ErrProductMissing
	}
	return p, err
}

// Products implements usecase.ProductReader.
func (s *Store) Products(ctx context.Context, ids []uuid.UUID) (_ []usecase.ProductView, err error) {
	defer translate(&err)
	rows, err := s.pool.Query(ctx, `SELECT `+productColumns+` FROM products p JOIN stock s ON s.product_id = p.id WHERE p.id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanProduct)
}

// The parts of a query that need a WITH. In a search every word must be met: as a word of the product, as the beginning of
// one, or, with a small typo, as a word of its name. Relevance is an integer, so that a cursor can name it exactly; what has
// the words is above what only resembles them.
const (
	belowCategory = `below(id) AS (
		SELECT id FROM categories WHERE id = @category_id OR slug = @category_slug
		UNION SELECT c.id FROM below b JOIN categories c ON c.parent_id = b.id)`
	searchHits = `met(id) AS (
		SELECT m.id FROM unnest(@words::text[]) WITH ORDINALITY AS w(word, n)
		CROSS JOIN LATERAL (SELECT id FROM products WHERE search @@ to_tsquery('simple', w.word || ':*') UNION SELECT products_like(w.word)) AS m(id)
		GROUP BY m.id HAVING count(*) = cardinality(@words::text[])),
	hits(id, relevance) AS (
		SELECT p.id, (1000000 * ((p.search @@ q.prefixes)::int * (1 + ts_rank(p.search, q.prefixes)) + word_similarity(@phrase, p.folded_name)))::bigint
		FROM met JOIN products p ON p.id = met.id CROSS JOIN (SELECT to_tsquery('simple', @prefixes) AS prefixes) q)`
)

// orders are the orders of a list and what comes behind a cursor in each. The id makes them total.
var orders = map[usecase.Sort]struct{ by, after string }{
	usecase.SortNewest:    {"p.created_at DESC, p.id DESC", "(p.created_at, p.id) < (@after_time, @after_id)"},
	usecase.SortPriceAsc:  {"p.price_amount, p.id", "(p.price_amount, p.id) > (@after_number, @after_id)"},
	usecase.SortPriceDesc: {"p.price_amount DESC, p.id DESC", "(p.price_amount, p.id) < (@after_number, @after_id)"},
	usecase.SortName:      {"p.folded_name, p.id", "(p.folded_name, p.id) > (@after_text, @after_id)"},
	usecase.SortRelevance: {"h.relevance DESC, p.id DESC", "(h.relevance, p.id) < (@after_number, @after_id)"},
}

// FindProducts implements usecase.ProductReader.
func (s *Store) FindProducts(ctx context.Context, q usecase.ProductQuery) (page usecase.ProductPage, err error) {
	defer translate(&err)
	order, ok := orders[q.Sort]
	if !ok {
		return usecase.ProductPage{}, fmt.Errorf("no such order: %q", q.Sort)
	}
	var (
		with  []string
		from  = "products p JOIN stock s ON s.product_id = p.id"
		where = []string{"p.status = 'active'"}
		args  = pgx.NamedArgs{"limit": q.PageSize + 1} // one more tells whether there is a next page
	)
	if q.Category != "" {
		ref := domain.ParseRef(q.Category)
		args["category_id"], args["category_slug"] = ref.ID, ref.Slug
		with = append(with, belowCategory)
		where = append(where, "EXISTS (SELECT FROM product_categories pc JOIN below b ON b.id = pc.category_id WHERE pc.product_id = p.id)")
	}
	searching := q.Text != ""
	if searching {
		// Folded words are letters and digits, so there is nothing in them that a text query could be told with.
		words := strings.Fields(domain.Fold(q.Text))
		args["words"], args["phrase"], args["prefixes"] = words, strings.Join(words, " "), ""
		if len(words) > 0 {
			args["prefixes"] = strings.Join(words, ":* & ") + ":*"
		}
		with = append(with, searchHits)
		from += " JOIN hits h ON h.id = p.id"
	}
	if q.MinPrice != nil {
		args["min_price"] = *q.MinPrice
		where = append(where, "p.price_amount >= @min_price")
	}
	if q.MaxPrice != nil {
		args["max_price"] = *q.MaxPrice
		where = append(where, "p.price_amount <= @max_price")
	}
	if q.InStock != nil {
		args["in_stock"] = *q.InStock
		where = append(where, "(s.on_hand > s.reserved) = @in_stock")
	}
	prologue := ""
	if len(with) > 0 {
		prologue = "WITH RECURSIVE " + strings.Join(with, ", ") + " "
	}

	if q.IncludeTotal {
		var total int64
		sql := prologue + "SELECT count(*) FROM " + from + " WHERE " + strings.Join(where, " AND ")
		if err := s.pool.QueryRow(ctx, sql, args).Scan(&total); err != nil {
			return usecase.ProductPage{}, fmt.Errorf("count: %w", err)
		}
		page.Total = &total
	}

	if q.After != nil {
		args["after_number"], args["after_text"], args["after_id"] = q.After.Number, q.After.Text, q.After.ID
		args["after_time"] = time.UnixMicro(q.After.Number)
		where = append(where, order.after)
	}
	columns := productColumns
	if searching {
		columns += ", h.relevance"
	}
	rows, err := s.pool.Query(ctx, prologue+"SELECT "+columns+" FROM "+from+" WHERE "+strings.Join(where, " AND ")+" ORDER BY "+order.by+" LIMIT @limit", args)
	if err != nil {
		return usecase.ProductPage{}, err
	}
	var ranks []int64
	page.Products, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (usecase.ProductView, error) {
		p, relevance, err := scanRankedProduct(row, searching)
		ranks = append(ranks, relevance)
		return p, err
	})
	if err != nil {
		return usecase.ProductPage{}, err
	}
	if len(page.Products) > q.PageSize {
		page.Products = page.Products[:q.PageSize]
		last := q.PageSize - 1
		page.Next = cursor(q.Sort, page.Products[last], ranks[last])
	}
	return page, nil
}

// cursor returns the place of a product in a list.
func cursor(sort usecase.Sort, p usecase.ProductView, relevance int64) *usecase.Cursor {
	c := &usecase.Cursor{ID: p.ID}
	switch sort {
	case usecase.SortPriceAsc, usecase.SortPriceDesc:
		c.Number = p.Price.Amount()
	case usecase.SortName:
		c.Text = domain.Fold(p.Name)
	case usecase.SortRelevance:
		c.Number = relevance
	default:
		c.Number = p.CreatedAt.UnixMicro()
	}
	return c
}
