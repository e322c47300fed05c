package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestSlugify(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Café-Mühle №5":             "cafe-muehle-5",
		"  Straße & Weg!  ":         "strasse-and-weg",
		"Chef's Knife 20 cm":        "chefs-knife-20-cm",
		"Žluťoučký kůň":             "zlutoucky-kun",
		"Łódź":                      "lodz",
		"e\u0301clair":              "eclair", // a mark of its own
		"--a--b--":                  "a-b",
		"日本":                        "",
		"日本 tea":                    "tea",
		strings.Repeat("abcd ", 30): strings.TrimSuffix(strings.Repeat("abcd-", 20), "-"),
	} {
		if got := domain.Slugify(name); got != want {
			t.Errorf("Slugify(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestFoldIsStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := domain.Fold(rapid.String().Draw(t, "text"))
		if twice := domain.Fold(once); twice != once {
			t.Fatalf("%q folds to %q", once, twice)
		}
	})
}

func details() domain.ProductDetails {
	return domain.ProductDetails{SKU: "TEA-1", Name: "Green Tea", Price: money.MustNew(899, "EUR")}
}

func TestNewProduct(t *testing.T) {
	t.Parallel()
	p, err := domain.NewProduct(uuid.New(), details(), "EUR", now)
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Snapshot(); s.Slug != "green-tea" || s.Status != domain.Draft || s.Version != 1 {
		t.Errorf("got %+v", s)
	}
	p.DistinguishSlug()
	if got := p.Snapshot().Slug; got != "green-tea-tea-1" {
		t.Errorf("distinguished slug %q", got)
	}
	p.DistinguishSlug()
	if got, want := p.Snapshot().Slug, "product-"+p.Snapshot().ID.String(); got != want {
		t.Errorf("slug %q, want %q", got, want)
	}
}

func TestNewProductNamesEveryMistake(t *testing.T) {
	t.Parallel()
	twice := uuid.New()
	tests := map[string]struct {
		change func(*domain.ProductDetails)
		want   []string
	}{
		"nothing wrong":    {func(*domain.ProductDetails) {}, nil},
		"free":             {func(d *domain.ProductDetails) { d.Price = money.MustNew(0, "EUR") }, nil},
		"negative price":   {func(d *domain.ProductDetails) { d.Price = money.MustNew(-1, "EUR") }, []string{"price.amount"}},
		"absurd price":     {func(d *domain.ProductDetails) { d.Price = money.MustNew(1_000_000_000_001, "EUR") }, []string{"price.amount"}},
		"another currency": {func(d *domain.ProductDetails) { d.Price = money.MustNew(1, "USD") }, []string{"price.currency"}},
		"no currency":      {func(d *domain.ProductDetails) { d.Price = money.Money{} }, []string{"price"}},
		"blank":            {func(d *domain.ProductDetails) { d.SKU, d.Name = " ", "\t" }, []string{"sku", "name"}},
		"too long": {func(d *domain.ProductDetails) {
			d.SKU, d.Name = strings.Repeat("x", 65), strings.Repeat("ä", 201)
			d.ShortDescription, d.Description = strings.Repeat("x", 501), strings.Repeat("x", 20_001)
		}, []string{"sku", "name", "short_description", "description"}},
		"just short enough":              {func(d *domain.ProductDetails) { d.SKU, d.Name = strings.Repeat("x", 64), strings.Repeat("ä", 200) }, nil},
		"control character":              {func(d *domain.ProductDetails) { d.Name = "a\nb" }, []string{"name"}},
		"NUL":                            {func(d *domain.ProductDetails) { d.Description = "a\x00b" }, []string{"description"}},
		"slug in capitals":               {func(d *domain.ProductDetails) { d.Slug = "Tea" }, []string{"slug"}},
		"slug like an id":                {func(d *domain.ProductDetails) { d.Slug = twice.String() }, []string{"slug"}},
		"name like an id":                {func(d *domain.ProductDetails) { d.Name = twice.String() }, nil},
		"name without a letter of ASCII": {func(d *domain.ProductDetails) { d.Name = "日本" }, nil},
		"status":                         {func(d *domain.ProductDetails) { d.Status = "gone" }, []string{"status"}},
		"category twice":                 {func(d *domain.ProductDetails) { d.CategoryIDs = []uuid.UUID{twice, twice} }, []string{"category_ids[1]"}},
		"image script": {func(d *domain.ProductDetails) {
			d.Images = []domain.Image{{URL: "https://a/b"}, {URL: "javascript:alert(1)"}}
		}, []string{"images[1].url"}},
		"attribute": {func(d *domain.ProductDetails) { d.Attributes = map[string]string{"": "x"} }, []string{"attributes"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := details()
			tc.change(&d)
			p, err := domain.NewProduct(uuid.New(), d, "EUR", now)
			if diff := cmp.Diff(tc.want, locations(err)); diff != "" {
				t.Errorf("locations (-want +got):\n%s", diff)
			}
			if err == nil && p.Snapshot().Slug == "" {
				t.Error("no slug")
			}
		})
	}
}

func locations(err error) []string {
	var all []string
	if err != nil {
		for _, v := range apperr.From(err).Violations {
			all = append(all, v.Location)
		}
	}
	return all
}

func TestBuildTree(t *testing.T) {
	t.Parallel()
	a, b, c, d := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	roots := domain.BuildTree([]domain.Category{
		{ID: c, Name: "c", Slug: "c", ParentID: b}, {ID: d, Name: "Ähre", Slug: "d", ParentID: a}, {ID: b, Name: "b", Slug: "b", ParentID: a}, {ID: a, Name: "a", Slug: "a"},
	})
	if len(roots) != 1 || len(roots[0].Children) != 2 || roots[0].Children[0].ID != d {
		t.Fatalf("got %+v", roots)
	}
	for _, ref := range []string{"c", c.String()} {
		if n := domain.FindNode(roots, domain.ParseRef(ref)); n == nil || n.ID != c {
			t.Errorf("%q: got %+v", ref, n)
		}
	}
	if n := domain.FindNode(roots, domain.ParseRef("x")); n != nil {
		t.Errorf("got %+v", n)
	}
}

// TestReservation is the state machine: what each verb does in each state.
func TestReservation(t *testing.T) {
	t.Parallel()
	lines := []domain.Line{{ProductID: uuid.New(), Quantity: 2}, {ProductID: uuid.New(), Quantity: 1}}
	order := uuid.New()
	verbs := map[string]func(*domain.Reservation) (domain.Effect, error){
		"reserve": func(r *domain.Reservation) (domain.Effect, error) {
			again, err := domain.NewReservation(order, lines, now, time.Minute)
			if err != nil {
				return domain.Effect{}, err
			}
			return r.ReserveAgain(again, now)
		},
		"confirm": func(r *domain.Reservation) (domain.Effect, error) { return r.Confirm(now) },
		"release": func(r *domain.Reservation) (domain.Effect, error) { return r.Release(now), nil },
		"expire":  func(r *domain.Reservation) (domain.Effect, error) { return r.Expire(now.Add(time.Hour)), nil },
	}
	type result struct {
		Status           domain.ReservationStatus
		OnHand, Reserved int64
		Reason           string
	}
	for _, tc := range []struct {
		from domain.ReservationStatus
		verb string
		want result
	}{
		{domain.ReservationActive, "reserve", result{domain.ReservationActive, 0, 0, ""}},
		{domain.ReservationActive, "confirm", result{domain.ReservationConfirmed, -1, -1, ""}},
		{domain.ReservationActive, "release", result{domain.ReservationReleased, 0, -1, ""}},
		{domain.ReservationActive, "expire", result{domain.ReservationExpired, 0, -1, ""}},
		{domain.ReservationConfirmed, "reserve", result{domain.ReservationConfirmed, 0, 0, ""}},
		{domain.ReservationConfirmed, "confirm", result{domain.ReservationConfirmed, 0, 0, ""}},
		{domain.ReservationConfirmed, "release", result{domain.ReservationReleased, 1, 0, ""}},
		{domain.ReservationConfirmed, "expire", result{domain.ReservationConfirmed, 0, 0, ""}},
		{domain.ReservationExpired, "reserve", result{domain.ReservationActive, 0, 1, ""}},
		{domain.ReservationExpired, "confirm", result{domain.ReservationConfirmed, -1, 0, ""}},
		{domain.ReservationExpired, "release", result{domain.ReservationReleased, 0, 0, ""}},
		{domain.ReservationExpired, "expire", result{domain.ReservationExpired, 0, 0, ""}},
		{domain.ReservationReleased, "reserve", result{domain.ReservationReleased, 0, 0, "reservation_released"}},
		{domain.ReservationReleased, "confirm", result{domain.ReservationReleased, 0, 0, "reservation_released"}},
		{domain.ReservationReleased, "release", result{domain.ReservationReleased, 0, 0, ""}},
		{domain.ReservationReleased, "expire", result{domain.ReservationReleased, 0, 0, ""}},
	} {
		t.Run(string(tc.from)+" "+tc.verb, func(t *testing.T) {
			t.Parallel()
			r := domain.RestoreReservation(domain.ReservationSnapshot{OrderID: order, Status: tc.from, Lines: lines, ExpiresAt: now.Add(time.Minute)})
			e, err := verbs[tc.verb](r)
			got := result{r.Snapshot().Status, e.OnHand, e.Reserved, apperr.ReasonOf(err)}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewReservationNamesEveryMistake(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	_, err := domain.NewReservation(uuid.New(), []domain.Line{{ProductID: id, Quantity: 1}, {ProductID: id, Quantity: 0}}, now, 0)
	want := []string{"lines[1].quantity", "lines[1].product_id", "ttl_seconds"}
	if diff := cmp.Diff(want, locations(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := domain.NewReservation(uuid.New(), nil, now, time.Second); locations(err)[0] != "lines" {
		t.Errorf("got %v", err)
	}
}

func TestStockHasAnEnd(t *testing.T) {
	t.Parallel()
	s := domain.Stock{OnHand: 999_999_999_999}
	if _, err := s.Adjust(1); err != nil {
		t.Error(err)
	}
	if _, err := s.Adjust(2); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("got %v", err)
	}
}
