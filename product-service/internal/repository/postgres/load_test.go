package postgres_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	platformpostgres "shop.example/platform/postgres"
	"shop.example/product-service/internal/domain"
)

// What manyProducts are called. Brands are rare words, made of syllables; a noun goes with a few categories.
var (
	adjectives = strings.Fields("Classic Modern Compact Large Slim Heavy Light Folding Quiet Robust Gentle Simple Premium Everyday Travel Outdoor Indoor Round Square Tall")
	materials  = strings.Fields("Steel Oak Beech Walnut Cotton Linen Wool Leather Glass Ceramic Stoneware Bamboo Copper Brass Iron Cork Felt Marble Granite Titanium")
	nouns      = strings.Fields(`Mug Lamp Chair Table Keyboard Monitor Headphones Kettle Pan Knife Bottle Backpack Tent Bicycle Helmet Jacket Sweater Scarf
		Sofa Shelf Mirror Clock Radio Camera Tripod Speaker Charger Notebook Pencil Easel Guitar Piano Drum Violin Puzzle Kite
		Shovel Rake Hose Planter Grill Hammer Saw Drill Wrench Ladder Blanket Pillow Towel Curtain`)
	syllables = strings.Fields("ba be bo da de do fa fi fo ga ge go ka ke ko la le lo ma me mo na ne no pa pe po ra re ro sa se so ta te to va vi vo za")
)

const (
	leaves = 144 // with the 48 above them, and 8 above those, the tree has 200 categories
	day    = 24 * time.Hour
)

// category is the id of the nth category: roots come first, then what is below them, then the leaves.
func category(n int) uuid.UUID { return number(1<<40 + uint64(n)) }

func number(n uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func brand(n int) string {
	part := func(i int) string { return syllables[i%len(syllables)] }
	return part(n) + part(n/40) + part(n/1600+n%7) + "x"
}

// manyProducts fills the tables with products of all kinds, past the store. Categories differ in size, from a seventh of all
// down to a few in a thousand, and in what their products cost; 5 % are drafts and 5 % archived, the older ones; 30 % have no stock, and what came
// in last has none yet.
func manyProducts(t testing.TB, pool *pgxpool.Pool, n int) {
	t.Helper()
	err := platformpostgres.InTxDo(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '512MB'; SET LOCAL synchronous_commit = off`); err != nil {
			return err
		}
		// What goes into tables that were truncated in the same transaction is not logged, if the server logs the least that it can.
		if _, err := tx.Exec(t.Context(), `TRUNCATE categories, products, product_categories, stock, words, category_sets CASCADE`); err != nil {
			return err
		}
		// Indexes are made again at the end, which is much faster than to keep them up.
		rows, err := tx.Query(t.Context(), `SELECT format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid) FROM pg_index i
			WHERE i.indrelid IN ('products'::regclass, 'product_categories'::regclass, 'stock'::regclass, 'words'::regclass)
			AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)`)
		if err != nil {
			return err
		}
		type index struct{ Drop, Create string }
		indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
		if err != nil {
			return err
		}
		for _, i := range indexes {
			if _, err := tx.Exec(t.Context(), i.Drop); err != nil {
				return err
			}
		}
		if err := copyCatalogue(t, tx, n); err != nil {
			return err
		}
		for _, i := range indexes {
			if _, err := tx.Exec(t.Context(), i.Create); err != nil {
				return err
			}
		}
		_, err = tx.Exec(t.Context(), `SELECT recount_category_sets()`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = platformpostgres.InTxDo(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = 0; ANALYZE`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Pages that all can see are read without looking whether they can: autovacuum does this in the end.
	for _, table := range []string{"products", "product_categories", "stock", "categories", "category_sets", "words"} {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), "SET statement_timeout = 0")
		if err == nil {
			_, err = conn.Exec(t.Context(), "VACUUM "+table)
		}
		_ = conn.Conn().Close(t.Context()) // with its setting
		conn.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func copyCatalogue(t testing.TB, tx pgx.Tx, n int) error {
	var categories [][]any
	for i := range 8 {
		categories = append(categories, []any{category(i), fmt.Sprint("department-", i), fmt.Sprint("Department ", i), nil})
	}
	for i := range 48 {
		categories = append(categories, []any{category(8 + i), fmt.Sprint("range-", i), fmt.Sprint("Range ", i), category(i / 6)})
	}
	for i := range leaves {
		categories = append(categories, []any{category(56 + i), fmt.Sprint("shelf-", i), fmt.Sprint("Shelf ", i), category(8 + i/3)})
	}
	if _, err := tx.CopyFrom(t.Context(), pgx.Identifier{"categories"}, []string{"id", "slug", "name", "parent_id"}, pgx.CopyFromRows(categories)); err != nil {
		return err
	}
	vocabulary := make(map[string]struct{})
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same products in every run
	var stock, places [][]any
	newest := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	i := 0
	_, err := tx.CopyFrom(t.Context(), pgx.Identifier{"products"}, []string{
		"id", "sku", "slug", "name", "short_description", "description", "price_amount", "price_currency", "images", "attributes", "status",
		"created_at", "updated_at", "folded_name", "folded_text",
	}, pgx.CopyFromFunc(func() ([]any, error) {
		if i == n {
			return nil, nil
		}
		var (
			id        = number(uint64(i))
			created   = newest.Add(-3 * 365 * day * time.Duration(n-i) / time.Duration(n)).Truncate(time.Microsecond)
			leaf      = int(leaves * math.Pow(random.Float64(), 2.5))
			material  = materials[random.IntN(len(materials))]
			adjective = adjectives[random.IntN(len(adjectives))]
			noun      = nouns[leaf%len(nouns)]
			made      = []string{"Handmade", "Machined", "Woven", "Cast"}[max(random.IntN(6)-2, 0)]
			name      = fmt.Sprintf("%s %s %s %s %d", brand(random.IntN(20_000)), adjective, material, noun, random.IntN(1000))
			price     = int64((1+leaf%12)*500 + random.IntN((1+leaf%12)*4000))
			status    = domain.Active
		)
		switch fate := random.Float64(); {
		case fate < 0.05:
			status = domain.Draft
		case fate < 0.15 && i < n/2:
			status = domain.Archived
		}
		d := domain.ProductSnapshot{
			SKU: fmt.Sprintf("%s-%07d", strings.ToUpper(noun[:3]), i), ShortDescription: made + " in small numbers, for many years of use.",
			Description: strings.Repeat(fmt.Sprintf("A %s %s of %s that lasts, and ages well. ", strings.ToLower(adjective), strings.ToLower(noun), strings.ToLower(material)), 2+random.IntN(3)),
			Attributes:  map[string]string{"material": material, "colour": adjectives[random.IntN(len(adjectives))], "weight": fmt.Sprint(random.IntN(5000), " g")},
		}
		foldedName, foldedText := domain.Fold(name), d.SearchText()
		for word := range strings.FieldsSeq(foldedName + " " + foldedText) {
			if domain.Correctable(word) {
				vocabulary[word] = struct{}{}
			}
		}
		in := []int{56 + leaf}
		if random.Float64() < 0.15 {
			if other := random.IntN(200); other != in[0] {
				in = append(in, other)
			}
		}
		for position, c := range in {
			places = append(places, []any{id, category(c), int16(position), status == domain.Active, created, price, foldedName})
		}
		onHand := int64(1 + random.IntN(200))
		if random.Float64() < 0.25 || i > n-n/20 {
			onHand = 0
		}
		stock = append(stock, []any{id, onHand, created})
		i++
		return []any{
			id, d.SKU, domain.Slugify(fmt.Sprint(name, " ", d.SKU)), name, d.ShortDescription, d.Description, price, "EUR",
			[]domain.Image{{URL: fmt.Sprintf("https://images.shop.example/%d.jpg", i), Alt: noun}}, d.Attributes, string(status), created, created, foldedName, foldedText,
		}, nil
	}))
	if err != nil {
		return err
	}
	if _, err := tx.CopyFrom(t.Context(), pgx.Identifier{"stock"}, []string{"product_id", "on_hand", "created_at"}, pgx.CopyFromRows(stock)); err != nil {
		return err
	}
	if _, err = tx.CopyFrom(t.Context(), pgx.Identifier{"product_categories"},
		[]string{"product_id", "category_id", "position", "active", "created_at", "price_amount", "folded_name"}, pgx.CopyFromRows(places)); err != nil {
		return err
	}
	words := make([][]any, 0, len(vocabulary))
	for word := range vocabulary {
		words = append(words, []any{word})
	}
	_, err = tx.CopyFrom(t.Context(), pgx.Identifier{"words"}, []string{"word"}, pgx.CopyFromRows(words))
	return err
}

// quantile returns the duration that a share of them are at most as long as.
func quantile(all []time.Duration, share float64) time.Duration {
	slices.Sort(all)
	return all[min(int(share*float64(len(all))), len(all)-1)]
}
