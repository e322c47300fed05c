package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/deploy/local/importer"
	"shop.example/e2e/internal/shop"
	"shop.example/platform/auth"
)

// seenWithin is how soon a change is seen by everybody who asks the gateway through which it was made: at the first look.
const seenWithin = time.Duration(0)

func newCategory(t *testing.T, staff *shop.Client, name, parent string) shop.Category {
	t.Helper()
	body := map[string]any{"name": name, "parent_id": nil}
	if parent != "" {
		body["parent_id"] = parent
	}
	return shop.Want[shop.Category](t, http.StatusCreated, staff.Post("/categories", body))
}

func TestCategoriesMove(t *testing.T) {
	t.Parallel()
	staff, mark := shared.NewUser(t, auth.Staff).Client, uuid.NewString()
	drinks, food := newCategory(t, staff, "Drinks "+mark, ""), newCategory(t, staff, "Food "+mark, "")
	tea := newCategory(t, staff, "Tea "+mark, drinks.ID)
	green := newCategory(t, staff, "Green "+mark, tea.ID)
	shop.Want[shop.Product](t, http.StatusCreated, staff.Post("/products", map[string]any{
		"sku": "E2E-" + mark, "name": "Sencha " + mark, "price": shop.Euro(500), "status": "active", "category_ids": []string{green.ID},
	}))
	counts := func(want ...int64) {
		t.Helper()
		for i, c := range []shop.Category{drinks, tea, green, food} {
			shop.Await(t, seenWithin, func() error {
				if got := shop.Want[shop.Category](t, http.StatusOK, staff.Get("/categories/"+c.ID)); got.ProductCount != want[i] {
					return fmt.Errorf("%s has %d products, want %d", got.Name, got.ProductCount, want[i])
				}
				return nil
			})
		}
	}
	counts(1, 1, 1, 0)

	patch := func(id string, body any, headers ...string) *shop.Answer {
		return staff.Do(http.MethodPatch, "/categories/"+id, body, headers...)
	}
	answer := patch(tea.ID, map[string]any{"parent_id": food.ID}, `If-Match: "1"`)
	moved := shop.Want[shop.Category](t, http.StatusOK, answer)
	if moved.ParentID == nil || *moved.ParentID != food.ID || moved.Version != 2 || !strings.HasPrefix(answer.Header.Get("ETag"), `"2-`) || len(moved.Children) != 1 {
		t.Errorf("the category that moved: %s", answer)
	}
	counts(0, 1, 1, 1)
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", patch(tea.ID, map[string]any{"name": "Late"}, `If-Match: "1"`))
	shop.WantProblem(t, http.StatusConflict, "category_cycle", patch(food.ID, map[string]any{"parent_id": green.ID}))
	shop.WantProblem(t, http.StatusConflict, "category_cycle", patch(food.ID, map[string]any{"parent_id": food.ID}))
	shop.WantProblem(t, http.StatusConflict, "slug_taken", patch(food.ID, map[string]any{"slug": drinks.Slug}))
	shop.WantInvalid(t, "body.parent_id", patch(food.ID, map[string]any{"parent_id": uuid.NewString()}))
	shop.WantProblem(t, http.StatusNotFound, "not_found", patch(uuid.NewString(), map[string]any{"name": "Nobody's"}))

	remove := func(id string, headers ...string) *shop.Answer {
		return staff.Do(http.MethodDelete, "/categories/"+id, nil, headers...)
	}
	shop.WantProblem(t, http.StatusConflict, "category_in_use", remove(tea.ID))
	shop.WantProblem(t, http.StatusConflict, "category_in_use", remove(green.ID))
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", remove(drinks.ID, `If-Match: "7"`))
	shop.WantNothing(t, remove(drinks.ID, `If-Match: "1"`))
	shop.WantProblem(t, http.StatusNotFound, "not_found", remove(drinks.ID))
	root := shop.Want[shop.Category](t, http.StatusOK, patch(tea.ID, map[string]any{"parent_id": nil}))
	if root.ParentID != nil {
		t.Errorf("it is below %s", *root.ParentID)
	}
}

// TestNobodyClosesACircle: two move a category below the other's at the same moment.
func TestNobodyClosesACircle(t *testing.T) {
	t.Parallel()
	staff := shared.NewUser(t, auth.Staff).Client
	for range 10 {
		a, b := newCategory(t, staff, "A "+uuid.NewString(), ""), newCategory(t, staff, "B "+uuid.NewString(), "")
		answers := atOnce(t, 2, func(i int) (*shop.Answer, error) {
			pair := [2]shop.Category{a, b}
			return staff.Try(http.MethodPatch, "/categories/"+pair[i].ID, map[string]any{"parent_id": pair[1-i].ID})
		})
		if moved := count(answers, http.StatusOK); moved != 1 {
			t.Errorf("%d of two moves succeeded: %v", moved, answers)
		}
	}
}

func count(answers []*shop.Answer, status int) (n int) {
	for _, a := range answers {
		if a.Status == status {
			n++
		}
	}
	return n
}

// TestOneOfManyChangesAProduct: all have read the same version.
func TestOneOfManyChangesAProduct(t *testing.T) {
	t.Parallel()
	staff, lamp := shared.NewUser(t, auth.Staff).Client, shared.NewProduct(t, 0, 100)
	tag := staff.Get("/products/" + lamp.ID).Header.Get("ETag")
	answers := atOnce(t, 12, func(i int) (*shop.Answer, error) {
		return staff.Try(http.MethodPatch, "/products/"+lamp.ID, map[string]any{"price": shop.Euro(int64(1000 + i))}, "If-Match: "+tag)
	})
	if changed, late := count(answers, http.StatusOK), count(answers, http.StatusPreconditionFailed); changed != 1 || late != 11 {
		t.Errorf("%d changed it, %d were told that they are late", changed, late)
	}
	if now := shop.Want[shop.Product](t, http.StatusOK, staff.Get("/products/"+lamp.ID)); now.Version != lamp.Version+1 {
		t.Errorf("after one change it is version %d, from %d", now.Version, lamp.Version)
	}
}

func TestTheLifeOfAProduct(t *testing.T) {
	t.Parallel()
	staff, customer, mark := shared.NewUser(t, auth.Staff).Client, shared.NewCustomer(t), uuid.NewString()
	patch := func(id string, body any, headers ...string) *shop.Answer {
		return staff.Do(http.MethodPatch, "/products/"+id, body, headers...)
	}
	bell := shop.Want[shop.Product](t, http.StatusCreated, staff.Post("/products", map[string]any{
		"sku": "E2E-" + mark, "name": "Bell " + mark, "price": shop.Euro(1999), "discount": shop.Discount{Type: "percent", Value: 50},
	}))
	if bell.Status != "draft" || bell.SalePrice == nil || *bell.SalePrice != shop.Euro(999) { // half of it is 9.995, and half-even 10.00
		t.Errorf("the new product: %+v", bell)
	}
	path := "/products/" + bell.ID
	shop.WantProblem(t, http.StatusNotFound, "not_found", customer.Get(path))
	shop.WantProblem(t, http.StatusUnprocessableEntity, "product_unavailable", customer.Post("/cart/items", shop.Item{ProductID: bell.ID, Quantity: 1}))
	shop.Want[shop.Stock](t, http.StatusCreated, staff.Post(path+"/stock-adjustments", map[string]any{"delta": 10, "reason": "first delivery"}))

	seen := func(within time.Duration, check func(shop.Product) error) {
		t.Helper()
		shop.Await(t, within, func() error {
			answer := customer.Get(path)
			if answer.Status != http.StatusOK {
				return fmt.Errorf("%s", answer)
			}
			return check(shop.Want[shop.Product](t, http.StatusOK, answer))
		})
	}
	costsWithin := func(within time.Duration, want *shop.Money, discount bool) {
		t.Helper()
		seen(within, func(p shop.Product) error {
			if (p.SalePrice == nil) != (want == nil) || want != nil && *p.SalePrice != *want || (p.Discount != nil) != discount {
				return fmt.Errorf("a customer sees %v, %+v; want %v", p.SalePrice, p.Discount, want)
			}
			return nil
		})
	}
	costs := func(want *shop.Money, discount bool) { t.Helper(); costsWithin(seenWithin, want, discount) }
	shop.Want[shop.Product](t, http.StatusOK, patch(bell.ID, map[string]any{"status": "active", "price": shop.Euro(2000)}, `If-Match: "1"`))
	costs(new(shop.Euro(1000)), true)

	// What is paid is the sale price; what was bought keeps it.
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: bell.ID, Quantity: 2})))
	if order.Subtotal != shop.Euro(2000) || order.Items[0].UnitPrice != shop.Euro(1000) || order.Total != shop.Euro(2000+shop.StandardPrice) {
		t.Errorf("the order: %+v", order)
	}
	order = customer.Settled(order.ID)
	shared.WantPaid(t, order)
	shared.WantStock(t, bell.ID, 8)

	// A discount to come is for staff to see, and one that is over is over.
	soon, later, past := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour), time.Now().Add(-time.Minute)
	planned := shop.Want[shop.Product](t, http.StatusOK, patch(bell.ID, map[string]any{"discount": shop.Discount{Type: "fixed", Value: 1, StartsAt: &soon, EndsAt: &later}}))
	if planned.Discount == nil || planned.SalePrice != nil {
		t.Errorf("a discount to come, to staff: %+v", planned)
	}
	costs(nil, false)
	shop.Want[shop.Product](t, http.StatusOK, patch(bell.ID, map[string]any{"discount": shop.Discount{Type: "fixed", Value: 1, EndsAt: &past}}))
	costs(nil, false)
	// One that ends while we look.
	ends := time.Now().Add(2 * time.Second)
	shop.Want[shop.Product](t, http.StatusOK, patch(bell.ID, map[string]any{"discount": shop.Discount{Type: "fixed", Value: 2500, EndsAt: &ends}}))
	costsWithin(10*time.Second, nil, false) // its 2 s, the second of the cache, and a busy machine
	shop.Want[shop.Product](t, http.StatusOK, patch(bell.ID, map[string]any{"discount": shop.Discount{Type: "fixed", Value: 2500}}))
	costs(new(shop.Euro(0)), true) // never below nothing
	if removed := shop.Want[shop.Product](t, http.StatusOK, patch(bell.ID, map[string]any{"discount": nil})); removed.Discount != nil {
		t.Errorf("the discount is still there: %+v", removed.Discount)
	}
	costs(nil, false)
	shop.WantInvalid(t, "body.discount.value", patch(bell.ID, map[string]any{"discount": shop.Discount{Type: "percent", Value: 101}}))
	shop.WantInvalid(t, "body.price.currency", patch(bell.ID, map[string]any{"price": shop.Money{Amount: 1, Currency: "USD"}}))
	shop.WantInvalid(t, "body.category_ids[0]", patch(bell.ID, map[string]any{"category_ids": []string{uuid.NewString()}}))
	other := shared.NewProduct(t, 0, 100)
	shop.WantProblem(t, http.StatusConflict, "sku_taken", patch(bell.ID, map[string]any{"sku": other.SKU}))
	shop.WantProblem(t, http.StatusConflict, "slug_taken", patch(bell.ID, map[string]any{"slug": other.Slug}))

	// Archived, it is out of reach, but not forgotten.
	customer.Add(bell.ID, 1)
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", staff.Do(http.MethodDelete, path, nil, `If-Match: "1"`))
	shop.WantNothing(t, staff.Do(http.MethodDelete, path, nil))
	shop.Await(t, seenWithin, func() error {
		if a := customer.Get(path); a.Status != http.StatusNotFound {
			return fmt.Errorf("archived, and yet %s", a)
		}
		return nil
	})
	if p := shop.Want[shop.Product](t, http.StatusOK, staff.Get(path)); p.Status != "archived" {
		t.Errorf("it is %s", p.Status)
	}
	shop.WantProblem(t, http.StatusUnprocessableEntity, "product_unavailable", customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: bell.ID, Quantity: 1})))
	if kept := customer.Order(order.ID); kept.Items[0].UnitPrice != shop.Euro(1000) || !strings.HasPrefix(kept.Items[0].Name, "Bell") {
		t.Errorf("the order was changed: %+v", kept.Items)
	}
	shop.Want[shop.Product](t, http.StatusOK, patch(bell.ID, map[string]any{"status": "active"}))
	seen(seenWithin, func(shop.Product) error { return nil })
	wantLedger(t, staff, bell.ID, order.ID)
}

// wantLedger pages through the ledger of a product of which ten were delivered and two sold.
func wantLedger(t *testing.T, staff *shop.Client, productID, orderID string) {
	t.Helper()
	type entry struct {
		ID          string    `json:"id"`
		Delta       int64     `json:"delta"`
		Reason      string    `json:"reason"`
		Reference   string    `json:"reference"`
		Actor       string    `json:"actor"`
		OnHandAfter int64     `json:"on_hand_after"`
		At          time.Time `json:"at"`
	}
	var entries []entry
	for token := ""; ; {
		page := shop.Want[shop.Page[entry]](t, http.StatusOK, staff.Get("/products/"+productID+"/stock-adjustments?page_size=1&include_total=true&page_token="+token))
		entries = append(entries, page.Items...)
		if page.TotalSize == nil || *page.TotalSize != 2 {
			t.Errorf("the ledger has %v entries", page.TotalSize)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if len(entries) != 2 {
		t.Fatalf("the ledger: %+v", entries)
	}
	sold, delivered := entries[0], entries[1]
	if sold.Delta != -2 || sold.OnHandAfter != 8 || sold.Reference != orderID || delivered.Delta != 10 || delivered.OnHandAfter != 10 ||
		delivered.Reason != "first delivery" || delivered.Actor != shop.PrincipalOf(t, staff.Token).UserID || sold.Actor == "" || sold.At.Before(delivered.At) {
		t.Errorf("the ledger: %+v", entries)
	}
}

// importResult is a line of an answer to an import.
type importResult struct {
	Line    int64  `json:"line"`
	Status  string `json:"status"`
	ID      string `json:"id"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
	Summary *struct {
		Lines, Created, Updated, Failed int64
		Stopped                         *struct {
			Line int64
			Code string
		}
	} `json:"summary"`
}

// importLines imports, and returns the results and, last, the summary.
func importLines(t *testing.T, staff *shop.Client, lines ...string) []importResult {
	t.Helper()
	answer := staff.Post("/products/import", shop.Raw(strings.Join(lines, "\n")), "Content-Type: "+shop.Lines)
	if answer.Status != http.StatusOK || answer.Header.Get("Content-Type") != shop.Lines {
		t.Fatalf("%s", answer)
	}
	var results []importResult
	for line := range bytes.Lines(answer.Body) {
		var r importResult
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	if len(results) == 0 || results[len(results)-1].Summary == nil {
		t.Fatalf("there is no summary: %s", answer)
	}
	return results
}

func TestImport(t *testing.T) {
	t.Parallel()
	// Its own shop: there are places for two imports at a time.
	s := shop.StartFor(t, nil)
	staff := s.NewUser(t, auth.Staff).Client
	t.Run("good and bad lines", func(t *testing.T) { goodAndBadLines(t, s, staff.For(t)) })
	t.Run("killed in the middle", func(t *testing.T) { killedInAnImport(t, s, staff.For(t)) })
}

func goodAndBadLines(t *testing.T, s *shop.Shop, staff *shop.Client) {
	mark := uuid.NewString()
	sku := func(n int) string { return fmt.Sprintf("E2E-%d-%s", n, mark) }
	other := s.NewProduct(t, 0, 100)
	category := newCategory(t, staff, "Imported "+mark, "")
	lines := []string{
		`{"sku":"` + sku(1) + `","name":"Lamp ` + mark + `","price":{"amount":2000,"currency":"EUR"},"status":"active","category_ids":["` + category.ID + `"],"discount":{"type":"percent","value":25}}`,
		`nonsense`,
		``,
		`{"sku":"` + sku(2) + `","name":"No price"}`,
		`{"sku":"` + sku(3) + `","name":"Slug","slug":"` + other.Slug + `","price":{"amount":1,"currency":"EUR"}}`,
		`{"sku":"` + sku(4) + `","name":"Dollars","price":{"amount":1,"currency":"USD"}}`,
		`{"sku":"` + sku(5) + `","name":"Nowhere","price":{"amount":1,"currency":"EUR"},"category_ids":["` + uuid.NewString() + `"]}`,
		`{"sku":"` + sku(6) + `","colour":"red"}`,
		`{"sku":"` + other.SKU + `","price":{"amount":777,"currency":"EUR"}}`,
		`{"sku":"` + sku(1) + `","description":"Of brass."}`,
	}
	want := []string{"1 created ", "2 failed malformed_request", "4 failed validation_failed", "5 failed slug_taken", "6 failed validation_failed",
		"7 failed validation_failed", "8 failed validation_failed", "9 updated ", "10 updated "}
	check := func(want []string, results []importResult) {
		t.Helper()
		var got []string
		for _, r := range results[:len(results)-1] {
			got = append(got, fmt.Sprintf("%d %s %s", r.Line, r.Status, r.Code))
			if (r.ID == "") != (r.Status == "failed") || (r.Detail != "") != (r.Status == "failed") {
				t.Errorf("%+v", r)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	first := importLines(t, staff, lines...)
	check(want, first)
	if sum := first[len(first)-1].Summary; sum.Lines != 9 || sum.Created != 1 || sum.Updated != 2 || sum.Failed != 6 || sum.Stopped != nil {
		t.Errorf("%+v", sum)
	}
	lamp := shop.Want[shop.Product](t, http.StatusOK, staff.Get("/products/"+first[0].ID))
	if lamp.SKU != sku(1) || lamp.SalePrice == nil || *lamp.SalePrice != shop.Euro(1500) || lamp.Status != "active" || !slices.Equal(lamp.CategoryIDs, []string{category.ID}) {
		t.Errorf("imported: %+v", lamp)
	}
	changed := shop.Want[shop.Product](t, http.StatusOK, staff.Get("/products/"+other.ID))
	if changed.Price != shop.Euro(777) || changed.Name != other.Name || changed.Version != other.Version+1 {
		t.Errorf("changed by the import: %+v", changed)
	}
	// Twice the same: nothing is changed, and nothing is there twice.
	want[0] = "1 updated "
	before := s.State(t)
	check(want, importLines(t, staff, lines...))
	for _, change := range before.Changes(s.State(t)) {
		t.Errorf("the second time changed something: %s", change)
	}
}

// killedInAnImport: product-service dies in the middle; what makes the import go on is what `make import` does.
func killedInAnImport(t *testing.T, s *shop.Shop, staff *shop.Client) {
	const lines = 6000
	mark := uuid.NewString()
	var file bytes.Buffer
	for n := range lines {
		fmt.Fprintf(&file, `{"sku":"E2E-%d-%s","name":"Thing %d","price":{"amount":%d,"currency":"EUR"}}`+"\n", n, mark, n, n)
	}
	var killed atomic.Bool
	var pauses atomic.Int64
	run := func() importer.Counts {
		t.Helper()
		i := importer.Importer{
			URL: s.Gateway(), Token: func(context.Context, bool) (string, error) { return staff.Token, nil },
			Failed: func(r importer.Result) { t.Errorf("%+v", r) },
			Progress: func(c importer.Counts) {
				if c.Lines() > lines/6 && killed.CompareAndSwap(false, true) {
					if err := s.Kill("product-service", 1); err != nil {
						t.Error(err)
					}
				}
			},
			Paused: func(error, time.Duration) { pauses.Add(1) },
		}
		counts, err := i.Import(t.Context(), bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		return counts
	}
	if counts := run(); counts.Lines() != lines || pauses.Load() == 0 {
		t.Errorf("%+v, after %d pauses", counts, pauses.Load())
	}
	before := s.State(t)
	if counts := run(); counts.Updated != lines {
		t.Errorf("once more: %+v", counts)
	}
	for _, change := range before.Changes(s.State(t)) {
		t.Errorf("once more changed something: %s", change)
	}
	if there := strings.Count(strings.Join(before["products.products"], "\n"), mark); there < lines {
		t.Errorf("%d of %d products are there", there, lines)
	}
}
