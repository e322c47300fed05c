package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/auth"
	"shop.example/platform/pgtest"
	"shop.example/product-service/internal/repository/postgres"
	"shop.example/product-service/internal/usecase"
)

var plansFile = flag.String("plans", "", "where BenchmarkLists writes its figures and query plans")

// Of the views, the first ones are what docs/query-plans.md has the plans of, and a few more what it has the figures of.
const explained, documented = 6, 9

// view is something that customers look at.
type view struct {
	name string
	look func(ctx context.Context, q *usecase.Queries) (products int, err error)
}

// views are all kinds of lists, of n products that manyProducts made.
func views(t testing.TB, pool *pgxpool.Pool, n int) []view {
	var (
		all    []view
		no     = auth.Principal{}
		yes    = new(true)
		out    = new(false)
		cursor = make(map[usecase.Sort]*usecase.Cursor)
		slug   string
	)
	add := func(name string, query usecase.ProductQuery) {
		query.PageSize = 20
		all = append(all, view{name, func(ctx context.Context, q *usecase.Queries) (int, error) {
			page, err := q.FindProducts(ctx, no, query)
			return len(page.Products), err
		}})
	}
	deep := min(200_000, n*8/10) // 10,000 pages, or nearly all there are
	for sort, order := range map[usecase.Sort]string{usecase.SortNewest: "created_at DESC, id DESC", usecase.SortPriceAsc: "price_amount, id", usecase.SortName: "folded_name, id"} {
		c := new(usecase.Cursor)
		var (
			created     time.Time
			price       int64
			text, fixed string
		)
		err := pool.QueryRow(t.Context(), "SELECT id, slug, created_at, price_amount, folded_name FROM products WHERE status = 'active' ORDER BY "+order+" OFFSET $1 LIMIT 1", deep-1).
			Scan(&c.ID, &fixed, &created, &price, &text)
		if err != nil {
			t.Fatal(err)
		}
		switch slug = fixed; sort {
		case usecase.SortNewest:
			c.Number = created.UnixMicro()
		case usecase.SortPriceAsc:
			c.Number = price
		default:
			c.Text = text
		}
		cursor[sort] = c
	}
	small := "shelf-143"
	type q = usecase.ProductQuery
	add("first page", q{})
	add("page 10,000", q{Sort: usecase.SortNewest, After: cursor[usecase.SortNewest]})
	add("category filter", q{Category: "department-0"})
	add("search with a typo", q{Text: "kyeboard"})
	add("two-word search", q{Text: "steel mug"})
	all = append(all, view{"product by slug", func(ctx context.Context, q *usecase.Queries) (int, error) {
		_, err := q.Product(ctx, no, slug)
		return 1, err
	}})
	add("search where nothing is: dear mugs", q{Text: "mug", MinPrice: new(int64(40000))})
	add("total of a common word", q{Text: "mug", IncludeTotal: true})
	add("total in stock", q{InStock: yes, IncludeTotal: true})
	add("price, page 1", q{Sort: usecase.SortPriceAsc})
	add("price, deep page", q{Sort: usecase.SortPriceAsc, After: cursor[usecase.SortPriceAsc]})
	add("-price, page 1", q{Sort: usecase.SortPriceDesc})
	add("name, page 1", q{Sort: usecase.SortName})
	add("name, deep page", q{Sort: usecase.SortName, After: cursor[usecase.SortName]})
	add("largest department by name", q{Category: "department-0", Sort: usecase.SortName})
	add("largest department, deep page", q{Category: "department-0", After: cursor[usecase.SortNewest]})
	add("smallest shelf", q{Category: small})
	add("smallest shelf by price", q{Category: small, Sort: usecase.SortPriceAsc})
	add("department, price range, in stock", q{Category: "department-0", MinPrice: new(int64(2000)), MaxPrice: new(int64(5000)), InStock: yes})
	add("shelf, price range by price", q{Category: "shelf-20", MinPrice: new(int64(2000)), MaxPrice: new(int64(9000)), Sort: usecase.SortPriceAsc})
	add("wide price range", q{MinPrice: new(int64(1000)), MaxPrice: new(int64(20000))})
	add("narrow price range", q{MinPrice: new(int64(7777)), MaxPrice: new(int64(7778))})
	add("price range by -price", q{MinPrice: new(int64(1000)), MaxPrice: new(int64(20000)), Sort: usecase.SortPriceDesc})
	add("in stock", q{InStock: yes})
	add("not in stock by price", q{InStock: out, Sort: usecase.SortPriceAsc})
	add("rare word", q{Text: brand(4711)})
	add("word of many names", q{Text: "mug"})
	add("word of many names by price", q{Text: "mug", Sort: usecase.SortPriceAsc})
	add("word of many descriptions", q{Text: "handmade"})
	add("rare in names, common elsewhere", q{Text: "years"})
	add("prefix", q{Text: "keyb"})
	add("one letter", q{Text: "m"})
	add("typo of a rare word", q{Text: brand(4711)[:4] + "w" + brand(4711)[4:]})
	add("typo and another word", q{Text: "stel keybord"})
	add("nothing at all", q{Text: "qqqqqqqq"})
	add("search, shelf, range, in stock, by price", q{Text: "steel", Category: "department-0", MinPrice: new(int64(1000)), MaxPrice: new(int64(9000)), InStock: yes, Sort: usecase.SortPriceAsc})
	add("search in a small shelf", q{Text: "walnut", Category: small})
	add("small shelf that has nothing so dear", q{Category: small, MinPrice: new(int64(50000))})
	add("rare word, not in stock, in a range", q{Text: brand(4711), InStock: out, MaxPrice: new(int64(100))})
	all = append(all, view{"categories with counts", func(ctx context.Context, q *usecase.Queries) (int, error) {
		roots, err := q.Categories(ctx)
		return len(roots), err
	}})
	add("total of all", q{IncludeTotal: true})
	add("total of a department", q{Category: "department-0", IncludeTotal: true})
	add("total of a shelf and range", q{Category: "shelf-20", MaxPrice: new(int64(9000)), IncludeTotal: true})
	add("total of a rare word", q{Text: brand(4711), IncludeTotal: true})
	add("total of a wide price range", q{MinPrice: new(int64(1000)), MaxPrice: new(int64(20000)), IncludeTotal: true})
	return all
}

// statements keeps what a pool is asked.
type statements struct {
	seen []pgx.QueuedQuery
}

func (s *statements) add(sql string, args []any) {
	if !strings.HasPrefix(sql, "EXPLAIN") && !strings.Contains(sql, "pg_class") {
		s.seen = append(s.seen, pgx.QueuedQuery{SQL: sql, Arguments: args})
	}
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.add(d.SQL, d.Args)
	return ctx
}
func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	s.add(d.SQL, d.Args)
}
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// plans looks at something, and explains all statements that it took.
func plans(t testing.TB, pool *pgxpool.Pool, v view, options string) []string {
	t.Helper()
	asked := new(statements)
	config := pool.Config()
	config.ConnConfig.Tracer = asked
	traced, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	store := postgres.New(traced)
	_, err = v.look(t.Context(), usecase.NewQueries(store, store, store, time.Now))
	traced.Close()
	if err != nil {
		t.Fatalf("%s: %v", v.name, err)
	}
	var all []string
	for _, s := range asked.seen {
		rows, err := pool.Query(t.Context(), "EXPLAIN ("+options+") "+s.SQL, s.Arguments...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v\n%s", v.name, err, s.SQL)
		}
		all = append(all, strings.Join(lines, "\n"))
	}
	return all
}

// scanned returns the tables that a plan reads as a whole. Categories, their counts, and what a statement has found by itself
// don't grow with the products.
func scanned(plan string) (tables []string) {
	for line := range strings.Lines(plan) {
		if _, rest, ok := strings.Cut(line, "Seq Scan on "); ok {
			if table := strings.Fields(rest)[0]; table != "categories" && table != "category_sets" {
				tables = append(tables, table)
			}
		}
	}
	return tables
}

// Lists read what they show and not the tables.
func TestListsUseIndexes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	const n = 50_000
	manyProducts(t, pool, n)
	for _, v := range views(t, pool, n) {
		if strings.HasPrefix(v.name, "total") {
			continue // what is counted for somebody who asks for it may be most of all
		}
		for _, plan := range plans(t, pool, v, "COSTS OFF") {
			if tables := scanned(plan); len(tables) > 0 {
				t.Errorf("%s reads all of %v:\n%s", v.name, tables, plan)
			}
		}
	}
	wantWhole(t, pool, "robust", 0, 1_000_000)   // what fits best is walked to, and what fits less
	wantWhole(t, pool, "robust", 1000, 5000)     // few fit best: they are gathered, then many others are walked to
	wantWhole(t, pool, "robust", 20_000, 22_000) // few fit at all
	type q = usecase.ProductQuery
	wantTotal(t, pool, q{Text: "mug"}, true, `search @@ to_tsquery('simple', 'mug:*')`)
	wantTotal(t, pool, q{Category: "department-0", MaxPrice: new(int64(3000))}, true, `price_amount <= 3000
		AND id IN (SELECT pc.product_id FROM product_categories pc JOIN categories c ON c.id = pc.category_id
			LEFT JOIN categories up ON up.id = c.parent_id LEFT JOIN categories top ON top.id = up.parent_id
			WHERE 'department-0' IN (c.slug, up.slug, top.slug))`)
	wantTotal(t, pool, q{InStock: new(true)}, false, `id IN (SELECT product_id FROM stock WHERE on_hand > reserved)`)
	wantTotal(t, pool, q{Category: "department-0", InStock: new(true)}, false, `id IN (SELECT product_id FROM stock WHERE on_hand > reserved)
		AND id IN (SELECT pc.product_id FROM product_categories pc JOIN categories c ON c.id = pc.category_id
			LEFT JOIN categories up ON up.id = c.parent_id LEFT JOIN categories top ON top.id = up.parent_id
			WHERE 'department-0' IN (c.slug, up.slug, top.slug))`)
}

// wantTotal compares a total with the number of active products that meet a condition: exactly, or as an estimate of many.
func wantTotal(t *testing.T, pool *pgxpool.Pool, query usecase.ProductQuery, exact bool, where string) {
	t.Helper()
	var want int64
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM products WHERE status = 'active' AND "+where).Scan(&want); err != nil {
		t.Fatal(err)
	}
	query.IncludeTotal, query.PageSize, query.Sort = true, 1, query.EffectiveSort()
	page, err := postgres.New(pool).FindProducts(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	switch got := *page.Total; {
	case exact != (want <= 10_000):
		t.Errorf("%d match, which is no test of what was meant", want)
	case exact && got != want:
		t.Errorf("%d are said to match, and %d do: %s", got, want, where)
	case !exact && (got <= 10_000 || got < want/2 || got > want*2):
		t.Errorf("about %d are said to match, and %d do: %s", got, want, where)
	}
}

// wantWhole reads a search page by page and compares it with what the database finds and sorts without any cleverness.
func wantWhole(t *testing.T, pool *pgxpool.Pool, word string, minPrice, maxPrice int64) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT id FROM products
		WHERE status = 'active' AND price_amount BETWEEN $2 AND $3 AND search @@ to_tsquery('simple', $1 || ':*')
		ORDER BY folded_name ~ ('\y' || $1) DESC, created_at DESC, id DESC`, word, minPrice, maxPrice)
	if err != nil {
		t.Fatal(err)
	}
	want, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(want) == 0 {
		t.Fatal(want, err)
	}
	var (
		got   []uuid.UUID
		store = postgres.New(pool)
		query = usecase.ProductQuery{Text: word, MinPrice: &minPrice, MaxPrice: &maxPrice, Sort: usecase.SortRelevance, PageSize: 70}
	)
	for len(got) <= len(want) {
		page, err := store.FindProducts(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Products {
			got = append(got, p.ID)
		}
		if query.After = page.Next; query.After == nil {
			break
		}
	}
	if !slices.Equal(want, got) {
		t.Errorf("%q from %d to %d: %d products instead of %d, or in another order", word, minPrice, maxPrice, len(got), len(want))
	}
}

// brief returns what a plan reads, by which index, and how much. Reading what is shown of the products that were found is the
// same for all lists.
func brief(plan string) string {
	var (
		kept    strings.Builder
		skipped = -1 // the indentation of a node that is the same for all
		buffers bool
	)
	for line := range strings.Lines(plan) {
		text := strings.TrimLeft(line, " ")
		indent := len(line) - len(text)
		if skipped >= 0 && indent > skipped {
			continue
		}
		skipped = -1
		if strings.HasPrefix(text, "SubPlan") || (strings.HasPrefix(text, "->") && (strings.Contains(text, " on products p (") || strings.Contains(text, " on stock s (")) && indent <= 8) {
			skipped = indent
		}
		isBuffers := strings.HasPrefix(text, "Buffers:")
		switch {
		case strings.HasPrefix(text, "Planning"), strings.Contains(text, "Key: ") && !strings.Contains(text, "Presorted"), strings.HasPrefix(text, "Heap Blocks"), strings.HasPrefix(text, "Sort Method"), isBuffers && buffers:
		default:
			kept.WriteString(line)
			buffers = buffers || isBuffers
		}
	}
	return strings.TrimRight(kept.String(), "\n") + "\n"
}

// BenchmarkLists prints how long everything takes with ten thousand products and with a million, side by side.
func BenchmarkLists(b *testing.B) {
	sizes := []int{10_000, 1_000_000}
	for b.Loop() {
		var (
			all     []view
			columns = make([]map[string]string, len(sizes))
			plan    strings.Builder
		)
		for i, n := range sizes {
			pool := pgtest.New(b, postgres.Migrate)
			began := time.Now()
			manyProducts(b, pool, n)
			var size string
			if err := pool.QueryRow(b.Context(), "SELECT pg_size_pretty(pg_database_size(current_database()))").Scan(&size); err != nil {
				b.Fatal(err)
			}
			b.Logf("%d products loaded in %v, %s", n, time.Since(began).Round(time.Second), size)
			all = views(b, pool, n)
			columns[i] = measure(b, pool, all)
			for place, v := range all {
				texts := plans(b, pool, v, "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF")
				for _, text := range texts {
					if tables := scanned(text); len(tables) > 0 && !strings.HasPrefix(v.name, "total") {
						b.Errorf("%s, of %d: reads all of %v\n%s", v.name, n, tables, text)
					}
				}
				if i == len(sizes)-1 && place < explained {
					plan.WriteString(section(v.name, texts))
				}
			}
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		var short strings.Builder
		for i, v := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t\n", v.name, columns[0][v.name], columns[1][v.name])
			if i < documented {
				fmt.Fprintf(&short, "| %s | %s | %s |\n", v.name, columns[0][v.name], columns[1][v.name])
			}
		}
		fmt.Printf("p50 / p99 in ms with %d and %d products\n", sizes[0], sizes[1])
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		if *plansFile != "" {
			text := fmt.Sprintf(plansHead, sizes[0], sizes[1], short.String()) + plan.String()
			if err := os.WriteFile(*plansFile, []byte(text), 0o644); err != nil { //nolint:gosec // for all to read
				b.Fatal(err)
			}
		}
	}
}

// measure looks at everything and returns the p50 and p99 of each.
func measure(b *testing.B, pool *pgxpool.Pool, all []view) map[string]string {
	b.Helper()
	store := postgres.New(pool)
	queries := usecase.NewQueries(store, store, store, time.Now)
	took := make(map[string]string, len(all))
	for _, v := range all {
		var times []time.Duration
		// The first looks warm the caches. Five hundred leave five beyond the p99; what takes long is looked at for ten seconds.
		deadline := time.Now().Add(10 * time.Second)
		for i := -5; i < 500 && (i < 20 || time.Now().Before(deadline)); i++ {
			start := time.Now()
			if _, err := v.look(b.Context(), queries); err != nil {
				b.Fatalf("%s: %v", v.name, err)
			}
			if i >= 0 {
				times = append(times, time.Since(start))
			}
		}
		took[v.name] = fmt.Sprintf("%.1f / %.1f", quantile(times, 0.5).Seconds()*1000, quantile(times, 0.99).Seconds()*1000)
	}
	return took
}

// section is what the document says of a view: the plans of what found something. Left out are finding a category and what is
// below it, and which words of a search are unknown, a look into the primary key of words for each.
func section(name string, plans []string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "\n## %s\n", strings.ToUpper(name[:1])+name[1:])
	for _, plan := range plans {
		first, _, _ := strings.Cut(plan, "\n")
		if !strings.Contains(first, "rows=0") && !strings.HasPrefix(first, "CTE Scan on below") && !strings.Contains(plan, "words_pkey") {
			fmt.Fprintf(&s, "\n```\n%s```\n", brief(plan))
		}
	}
	return s.String()
}

const plansHead = `# Lists, measured and explained

Written from the root, in about ten minutes, by

    bin/shop with-stores -- go test -C product-service ./internal/repository/postgres -run '^$' -bench Lists -benchtime 1x \
      -timeout 1h -args -plans "$PWD/product-service/docs/query-plans.md"

which prints thirty lists more, and fails if one of them reads a table as a whole that grows with the products; only counting
(include_total) may. CI asks the same of 50,000 products (TestListsUseIndexes).

What the service takes for an answer, without RPC, one after the other: p50 / p99 in ms, 500 times each. Page 10,000 is the last
fifth of the smaller catalogue.

| | %d products | %d products |
|---|---|---|
%s
The plans are those of the larger catalogue, once each with warm caches, and the buffers those of the whole statement, 8 kB each.
Left out is what all have: finding a category and what is below it, and reading the products that are shown by their primary keys.
`
