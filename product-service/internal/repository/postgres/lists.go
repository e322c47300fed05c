package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// A list can be made in two ways, both with the help of an index. A walk reads products in the order of the list and leaves
// out those that don't match, until the page is full: good if much matches. What is gathered is all that matches, by the
// indexes of the filters, and then sorted: good if little matches. Which it is, the database's statistics tell; as they know
// nothing of filters and orders that go together, a walk has an end, after which the rest is gathered after all.
//
// Categories have their own orders, so a walk through a category and what is below it meets nothing else.

// order is one of a list. The id makes it total.
type order struct {
	key   string // the column, of products, product_categories and, for the newest, of stock
	desc  bool
	after string // the cursor's value
}

var orders = map[usecase.Sort]order{
	usecase.SortNewest:    {"created_at", true, "@after_time"},
	usecase.SortPriceAsc:  {"price_amount", false, "@after_number"},
	usecase.SortPriceDesc: {"price_amount", true, "@after_number"},
	usecase.SortName:      {"folded_name", false, "@after_text"},
	usecase.SortRelevance: {"created_at", true, "@after_time"}, // among those that fit equally well
}

// by is the order of a table, whose products are named by the column id.
func (o order) by(table, id string) string {
	if o.desc {
		return fmt.Sprintf("%s.%s DESC, %s.%s DESC", table, o.key, table, id)
	}
	return fmt.Sprintf("%s.%s, %s.%s", table, o.key, table, id)
}

// behind is the condition for what comes behind the cursor.
func (o order) behind(table, id string) string {
	operator := ">"
	if o.desc {
		operator = "<"
	}
	return fmt.Sprintf("(%s.%s, %s.%s) %s (%s, @after_id)", table, o.key, table, id, operator, o.after)
}

// fits are the conditions of the search for each fit of a product; together they are matches.
const matches = `p.search @@ to_tsquery('simple', @begins)`

var fits = map[int]string{
	domain.FitsExactly:  `p.search_name @@ to_tsquery('simple', @whole)`,
	domain.FitsName:     `p.search_name @@ to_tsquery('simple', @begins) AND NOT p.search_name @@ to_tsquery('simple', @whole)`,
	domain.FitsAnywhere: matches + ` AND NOT p.search_name @@ to_tsquery('simple', @begins)`,
}

// list is a query on its way to be answered.
type list struct {
	*Store
	q     usecase.ProductQuery
	order order
	args  pgx.NamedArgs
	below []uuid.UUID // the category and its descendants
}

// FindProducts implements usecase.ProductReader.
func (s *Store) FindProducts(ctx context.Context, q usecase.ProductQuery) (page usecase.ProductPage, err error) {
	defer translate(&err)
	l := list{Store: s, q: q, args: pgx.NamedArgs{
		"limit":     q.PageSize + 1, // one more tells whether there is a next page
		"min_price": q.MinPrice, "max_price": q.MaxPrice, "in_stock": q.InStock,
	}}
	var ok bool
	if l.order, ok = orders[q.Sort]; !ok {
		return page, fmt.Errorf("no such order: %q", q.Sort)
	}
	if q.IncludeTotal {
		page.Total = new(int64)
	}
	if q.Text != "" {
		words := domain.SearchWords(q.Text)
		if len(words) == 0 {
			return page, nil
		}
		alternatives := q.Corrections.Alternatives(words)
		l.args["whole"], l.args["begins"] = textQuery(alternatives, ""), textQuery(alternatives, ":*")
	}
	if q.Category != "" {
		if l.below, err = s.subtree(ctx, domain.ParseRef(q.Category)); err != nil || len(l.below) == 0 {
			return page, err
		}
		l.args["below"] = l.below
	}
	if q.IncludeTotal {
		if *page.Total, err = l.total(ctx); err != nil {
			return page, fmt.Errorf("count: %w", err)
		}
	}
	if q.After != nil {
		l.args["after_fit"], l.args["after_number"], l.args["after_text"], l.args["after_id"] = q.After.Fit, q.After.Number, q.After.Text, q.After.ID
		l.args["after_time"] = time.UnixMicro(q.After.Number)
	}
	var found []hit
	if q.Sort == usecase.SortRelevance {
		found, err = l.byRelevance(ctx)
	} else {
		found, err = l.inOrder(ctx)
	}
	if err != nil {
		return page, err
	}
	if len(found) > q.PageSize {
		found = found[:q.PageSize]
		last := found[q.PageSize-1]
		page.Next = new(q.Sort.Place(last.ProductView, last.fit))
	}
	for _, h := range found {
		page.Products = append(page.Products, h.ProductView)
	}
	return page, nil
}

// hit is a product with how well it fits a search by relevance, 0 in other lists.
type hit struct {
	usecase.ProductView
	fit int
}

// textQuery is what to_tsquery takes. Folded words are letters and digits, so nothing in them could mean something there.
func textQuery(words [][]string, suffix string) string {
	all := make([]string, len(words))
	for i, alternatives := range words {
		all[i] = "(" + strings.Join(alternatives, suffix+" | ") + suffix + ")"
	}
	return strings.Join(all, " & ")
}

// subtree returns a category and all that is below it, nothing if it is not there.
func (s *Store) subtree(ctx context.Context, ref domain.Ref) ([]uuid.UUID, error) {
	rows, err := s.pool.Query(ctx, `WITH RECURSIVE below(id) AS (
			SELECT id FROM categories WHERE id = $1 OR slug = $2
			UNION SELECT c.id FROM below b JOIN categories c ON c.parent_id = b.id)
		SELECT id FROM below`, ref.ID, ref.Slug)
	if err != nil {
		return nil, fmt.Errorf("read categories: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// filters are the conditions of the query on products p with their stock s, but for the search by relevance.
func (l *list) filters() []string {
	where := []string{"p.status = 'active'"}
	if l.q.Text != "" && l.q.Sort != usecase.SortRelevance {
		where = append(where, matches)
	}
	if l.q.InStock != nil {
		where = append(where, "s.available = @in_stock")
	}
	if l.below == nil {
		return append(where, l.prices("p")...)
	}
	in := append([]string{"pc.product_id = p.id", "pc.category_id = ANY(@below)", "pc.active"}, l.prices("pc")...)
	return append(where, "EXISTS (SELECT FROM product_categories pc WHERE "+all(in)+")")
}

// prices are the conditions on the price that a table has.
func (l *list) prices(table string) (where []string) {
	if l.q.MinPrice != nil {
		where = append(where, table+".price_amount >= @min_price")
	}
	if l.q.MaxPrice != nil {
		where = append(where, table+".price_amount <= @max_price")
	}
	return where
}

// maxCounted is up to where products are counted. Counting goes on for as long as there are more, which in a large catalogue is
// half a second for what everybody may ask for; and nobody turns 500 pages. Stripe's searches are exact up to as many.
const maxCounted = 10_000

// total is the number of all that match. What is kept count of is told at once. What is filtered otherwise is counted up to
// maxCounted; of more, it is what the database expects.
func (l *list) total(ctx context.Context) (n int64, err error) {
	if l.q.Text == "" && l.q.InStock == nil && len(l.prices("p")) == 0 {
		sql := "SELECT coalesce(sum(products), 0)::bigint FROM category_sets"
		if l.below != nil {
			sql += " WHERE category_ids && @below"
		}
		err = l.pool.QueryRow(ctx, sql, plannedAnew, l.args).Scan(&n)
		return n, err
	}
	where := l.filters()
	if l.q.Sort == usecase.SortRelevance {
		where = append(where, matches)
	}
	what, from, which := "", l.tables(), where
	if l.below != nil && l.q.Text == "" {
		what = "DISTINCT pc.product_id" // in several of the categories, perhaps
		from, which = l.inCategories("pc.category_id = ANY(@below)")
	}
	sql := fmt.Sprintf("SELECT count(*) FROM (SELECT %s FROM %s WHERE %s LIMIT %d) counted", what, from, all(which), maxCounted+1)
	if err := l.pool.QueryRow(ctx, sql, plannedAnew, l.args).Scan(&n); err != nil || n <= maxCounted {
		return n, err
	}
	matching, _, err := l.estimate(ctx, where)
	return max(n, int64(matching)), err
}

// tables are those that the filters are about.
func (l *list) tables() string {
	if l.q.InStock != nil {
		return "products p JOIN stock s ON s.product_id = p.id"
	}
	return "products p"
}

// byRelevance finds what fits best first, and among equals the newest. Few hits are gathered at once; of many, those of one
// fit after the other, until the page is full.
func (l *list) byRelevance(ctx context.Context) ([]hit, error) {
	where := l.filters()
	few, _, err := l.few(ctx, append(where, matches))
	if err != nil {
		return nil, err
	}
	if few {
		return l.gatherFits(ctx, where)
	}
	best := domain.FitsExactly
	if l.q.After != nil {
		best = min(l.q.After.Fit, best)
	}
	var page []hit
	for fit := best; fit >= domain.FitsAnywhere && len(page) <= l.q.PageSize; fit-- {
		tier := *l
		if fit < best {
			tier.q.After = nil // all of what fits less comes behind
		}
		found, complete, err := tier.walkOrGather(ctx, append(where, fits[fit]))
		if err != nil {
			return nil, err
		}
		if !complete {
			return l.gatherFits(ctx, where)
		}
		for i := range found {
			found[i].fit = fit
		}
		page = append(page, found...)
	}
	return page[:min(len(page), l.q.PageSize+1)], nil
}

// gatherFits gathers the hits of all fits.
func (l *list) gatherFits(ctx context.Context, where []string) ([]hit, error) {
	const fit = `CASE WHEN p.search_name @@ to_tsquery('simple', @whole) THEN 3 WHEN p.search_name @@ to_tsquery('simple', @begins) THEN 2 ELSE 1 END`
	where = append(where, matches)
	if l.q.After != nil {
		where = append(where, "("+fit+" < @after_fit OR "+fit+" = @after_fit AND "+l.order.behind("p", "id")+")")
	}
	return l.collect(ctx, l.gather(fit, where))
}

// inOrder finds the products of a page of all lists but those by relevance.
func (l *list) inOrder(ctx context.Context) ([]hit, error) {
	var (
		searching = l.q.Text != ""
		priced    = len(l.prices("p")) > 0 && l.order.key != "price_amount"
		where     = l.filters()
	)
	switch {
	case !searching && l.below == nil && l.q.InStock == nil && !priced:
		return l.collect(ctx, l.first(where))
	case !searching && l.below != nil && l.q.InStock == nil && !priced:
		return l.collect(ctx, l.walkCategories())
	}
	found, complete, err := l.walkOrGather(ctx, where)
	if err != nil || complete {
		return found, err
	}
	return l.collect(ctx, l.gather("0", l.behind(where)))
}

// behind adds that products are behind the cursor, if there is one.
func (l *list) behind(where []string) []string {
	if l.q.After != nil {
		where = append(where, l.order.behind("p", "id"))
	}
	return where
}

// walkOrGather finds the products of a page in the way that the database's estimate makes the better one. It is not complete
// if a walk has ended before the page was full.
func (l *list) walkOrGather(ctx context.Context, where []string) (found []hit, complete bool, err error) {
	few, atMost, err := l.few(ctx, l.behind(where))
	if err != nil {
		return nil, false, err
	}
	if few {
		found, err = l.collect(ctx, l.gather("0", l.behind(where)))
		return found, true, err
	}
	if l.below != nil && l.q.Text == "" {
		found, err = l.collect(ctx, l.walkCategories())
		return found, true, err
	}
	found, err = l.collect(ctx, l.walk(where, atMost))
	return found, len(found) > l.q.PageSize, err
}

// few reports whether so few products are expected to meet the conditions that it is less work to gather them than to walk,
// and else how long a walk may be.
func (l *list) few(ctx context.Context, where []string) (few bool, atMost int64, err error) {
	matching, products, err := l.estimate(ctx, where)
	if err != nil {
		return false, 0, err
	}
	expected := float64(l.q.PageSize+1) * products / matching // products to a full page, if the matches are spread evenly
	// A walk ends where gathering would have been less work. Before twice of what is expected that would be chance; behind five
	// times, the matches are not where the order begins.
	return matching <= expected, int64(min(max(matching, 2*expected), 5*expected)) + 1, nil
}

// estimate returns how many products the database expects to meet the conditions, and to have. Neither is less than one.
func (l *list) estimate(ctx context.Context, where []string) (matching, products float64, err error) {
	var (
		batch pgx.Batch
		plan  []byte
	)
	batch.Queue("SELECT reltuples FROM pg_class WHERE oid = 'products'::regclass").QueryRow(func(row pgx.Row) error { return row.Scan(&products) })
	// Explained, not run: this is the way to ask for the number that the planner reckons with.
	batch.Queue("EXPLAIN (FORMAT JSON) SELECT FROM "+l.tables()+" WHERE "+all(where), l.args).QueryRow(func(row pgx.Row) error { return row.Scan(&plan) })
	if err := l.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return 0, 0, fmt.Errorf("estimate: %w", err)
	}
	var explained []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(plan, &explained); err != nil || len(explained) != 1 {
		return 0, 0, fmt.Errorf("read estimate: %v, %w", len(explained), err)
	}
	return max(explained[0].Plan.Rows, 1), max(products, 1), nil
}

// gather is the statement that finds all that meet the conditions and sorts them.
func (l *list) gather(fit string, where []string) string {
	return fmt.Sprintf(`WITH found AS MATERIALIZED (SELECT p.id, p.%s, %s AS fit FROM %s WHERE %s)
		SELECT f.id, f.%s, f.fit FROM found f ORDER BY f.fit DESC, %s LIMIT @limit`,
		l.order.key, fit, l.tables(), all(where), l.order.key, l.order.by("f", "id"))
}

// walk is the statement that goes through at most so many products in the order of the list, or of all that are in stock, or
// not, and finds a page of those that meet the conditions. What only the product itself has to meet is seen on the way. Else
// LATERAL and its LIMIT look at one after the other: no other way of joining could stop when the page is full.
func (l *list) walk(where []string, atMost int64) string {
	table, id, met := "products", "id", []string{"t.status = 'active'"}
	if l.q.InStock != nil && l.order.key == "created_at" {
		table, id, met = "stock", "product_id", []string{"t.available = @in_stock"}
	}
	if l.order.key == "price_amount" {
		met = append(met, l.prices("t")...)
	}
	if l.q.After != nil {
		met = append(met, l.order.behind("t", id))
	}
	if l.below == nil && l.q.InStock == nil {
		return fmt.Sprintf(`SELECT p.id, p.%s, 0 AS fit FROM (SELECT * FROM products t WHERE %s ORDER BY %s LIMIT %d) p WHERE %s ORDER BY %s LIMIT @limit`,
			l.order.key, all(met), l.order.by("t", "id"), atMost, all(where), l.order.by("p", "id"))
	}
	return fmt.Sprintf(`SELECT w.id, w.%[1]s, 0 AS fit
		FROM (SELECT t.%[2]s AS id, t.%[1]s FROM %[3]s t WHERE %[4]s ORDER BY %[5]s LIMIT %[6]d) w
		CROSS JOIN LATERAL (SELECT FROM %[7]s WHERE p.id = w.id AND %[8]s LIMIT 1) m
		ORDER BY %[9]s LIMIT @limit`,
		l.order.key, id, table, all(met), l.order.by("t", id), atMost, l.tables(), all(where), l.order.by("w", "id"))
}

// first is the statement for a list that matches all that is met in its order.
func (l *list) first(where []string) string {
	return fmt.Sprintf(`SELECT p.id, p.%s, 0 AS fit FROM products p WHERE %s ORDER BY %s LIMIT @limit`, l.order.key, all(l.behind(where)), l.order.by("p", "id"))
}

// inCategories are the tables and the conditions for products in categories, without a search.
func (l *list) inCategories(which string) (from string, where []string) {
	from, where = "product_categories pc", append([]string{which, "pc.active"}, l.prices("pc")...)
	if l.q.InStock != nil {
		from += " JOIN stock s ON s.product_id = pc.product_id"
		where = append(where, "s.available = @in_stock")
	}
	return from, where
}

// walkCategories is the statement that takes a page of each category and merges them. Products are in several of them.
func (l *list) walkCategories() string {
	from, where := l.inCategories("pc.category_id = c.id")
	if l.q.After != nil {
		where = append(where, l.order.behind("pc", "product_id"))
	}
	return fmt.Sprintf(`SELECT DISTINCT f.id, f.%s, 0 AS fit
		FROM unnest(@below::uuid[]) AS c(id) CROSS JOIN LATERAL (
			SELECT pc.product_id AS id, pc.%s FROM %s WHERE %s ORDER BY %s LIMIT @limit) f
		ORDER BY %s LIMIT @limit`,
		l.order.key, l.order.key, from, all(where), l.order.by("pc", "product_id"), l.order.by("f", "id"))
}

// plannedAnew makes the database plan a list for what is looked for, not once for all: its statistics tell rare words from
// common ones, and narrow ranges from wide ones.
const plannedAnew = pgx.QueryExecModeCacheDescribe

// collect runs a statement that finds products, and reads them.
func (l *list) collect(ctx context.Context, sql string) ([]hit, error) {
	rows, err := l.pool.Query(ctx, "SELECT "+productColumns+", f.fit FROM ("+sql+") f JOIN products p ON p.id = f.id JOIN stock s ON s.product_id = f.id ORDER BY f.fit DESC, "+l.order.by("f", "id"),
		plannedAnew, l.args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h hit, err error) {
		h.ProductView, err = scanHit(row, &h.fit)
		return h, err
	})
}

func all(conditions []string) string { return strings.Join(conditions, " AND ") }

const (
	similar = `SELECT word FROM words WHERE word % $1`
	// slips are the words that begin with the same letter and are about as long, of which the domain picks.
	slips = `SELECT word FROM words WHERE word >= left($1, 1) COLLATE "C" AND word < (left($1, 1) || chr(1114111)) COLLATE "C"
		AND char_length(word) BETWEEN char_length($1) - 1 AND char_length($1) + 1`
)

// Corrections implements usecase.ProductReader.
func (s *Store) Corrections(ctx context.Context, words []string) (_ domain.Corrections, err error) {
	defer translate(&err)
	// U+10FFFF is behind every letter.
	rows, err := s.pool.Query(ctx, `SELECT w.word FROM unnest($1::text[]) WITH ORDINALITY AS w(word, n)
		WHERE NOT EXISTS (SELECT FROM words k WHERE k.word >= w.word COLLATE "C" AND k.word < (w.word || chr(1114111)) COLLATE "C") ORDER BY w.n`, words)
	if err != nil {
		return nil, fmt.Errorf("look for words: %w", err)
	}
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for words: %w", err)
	}
	return domain.Correct(unknown, func(word string, limit int) ([]string, error) {
		find := similar
		if domain.Slippable(word) {
			find += ` UNION ` + slips
		}
		rows, err := s.pool.Query(ctx, find, word)
		if err != nil {
			return nil, fmt.Errorf("look for similar words: %w", err)
		}
		candidates, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("look for similar words: %w", err)
		}
		return domain.Resembling(word, slices.Values(candidates), limit), nil
	})
}
