package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

// prose writes texts that are as hard to compress as those of people.
type prose struct{ *rand.Rand }

func (p prose) sentences(n int) string {
	const letters = "eeeetttaaooiinnsshhrrddlluucmfwypvbgkqjxz"
	var text strings.Builder
	for range n {
		for range 8 + p.IntN(10) {
			for range 2 + p.IntN(7) {
				text.WriteByte(letters[p.IntN(len(letters))])
			}
			text.WriteByte(' ')
		}
		text.WriteString(". ")
	}
	return text.String()
}

// catalogue is a page of products like those of the demo catalogue.
func catalogue(n int) *productv1.ListProductsResponse {
	answer, prose := new(productv1.ListProductsResponse), prose{rand.New(rand.NewPCG(1, 2))}
	for i := range n {
		id := fmt.Sprintf("01890a5d-ac96-774b-bcce-%012x", i*7919)
		answer.Products = append(answer.Products, &productv1.Product{
			Id: id, Sku: fmt.Sprintf("SKU-%05d", i), Slug: fmt.Sprintf("city-bicycle-%d", i), Name: fmt.Sprintf("City bicycle %d", i),
			ShortDescription: "A bicycle for every day, with lights, mudguards and a rack.",
			Description:      prose.sentences(4),
			CategoryIds:      []string{id}, Images: []*productv1.Image{{Url: "https://images.shop.example/" + id + ".jpg", Alt: "The bicycle from the side"}},
			Attributes: map[string]string{"colour": "red", "gears": fmt.Sprint(i)}, Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
			Stock: &productv1.Stock{Available: int64(i)}, Version: int64(i),
		})
	}
	return answer
}

func unpack(t testing.TB, packed string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompression(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("ListProducts", catalogue(20))
	s.on("ListCategories", &productv1.ListCategoriesResponse{})
	s.on("GetCart", errDown)
	plain := s.call(t, "GET", "/api/v1/products", "", "Accept-Encoding: identity")
	packed := s.call(t, "GET", "/api/v1/products", "", "Accept-Encoding: br, gzip;q=0.8")
	if plain.header.Get("Content-Encoding") != "" || packed.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("the encodings are %q and %q", plain.header.Get("Content-Encoding"), packed.header.Get("Content-Encoding"))
	}
	if unpack(t, packed.body) != plain.body || len(packed.body) > len(plain.body)/3 {
		t.Errorf("%d bytes became %d, or others", len(plain.body), len(packed.body))
	}
	plainTag, packedTag := plain.header.Get("ETag"), packed.header.Get("ETag")
	if plainTag == packedTag || !strongTag.MatchString(packedTag) {
		t.Errorf("the tags are %s and %s", plainTag, packedTag)
	}
	for _, a := range []answer{plain, packed} {
		if v := a.varies(); !slices.Contains(v, "accept-encoding") || !slices.Contains(v, "authorization") {
			t.Errorf("Vary is %v", v)
		}
	}
	// HEAD has the fields of GET.
	for coding, get := range map[string]answer{"identity": plain, "gzip": packed} {
		head := s.call(t, "HEAD", "/api/v1/products", "", "Accept-Encoding: "+coding)
		for _, name := range []string{"ETag", "Content-Encoding", "Content-Type", "Cache-Control"} {
			if head.status != 200 || head.body != "" || head.header.Get(name) != get.header.Get(name) {
				t.Errorf("HEAD in %s: %d, %s is %q, want %q", coding, head.status, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
	for name, c := range map[string]struct{ coding, condition, tag string }{
		"the packed copy":                {"gzip", packedTag, packedTag},
		"the packed copy, weakly":        {"gzip", "W/" + packedTag, packedTag},
		"both copies":                    {"gzip", plainTag + ", " + packedTag, packedTag},
		"the plain copy, now with gzip":  {"gzip", plainTag, plainTag},
		"the plain copy":                 {"identity", plainTag, plainTag},
		"anything":                       {"gzip", "*", plainTag},
		"one of others, the packed copy": {"gzip", `"other", ` + packedTag, packedTag},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := s.call(t, method, "/api/v1/products", "", "Accept-Encoding: "+c.coding, "If-None-Match: "+c.condition)
			if a.status != 304 || a.body != "" || a.header.Get("ETag") != c.tag || a.header.Get("Content-Encoding") != "" {
				t.Errorf("%s %s: %d, ETag %q", method, name, a.status, a.header.Get("ETag"))
			}
		}
	}
	if a := s.call(t, "GET", "/api/v1/products", "", "Accept-Encoding: identity", "If-None-Match: "+packedTag); a.status != 200 {
		t.Errorf("a packed copy serves one who can't unpack it: %d", a.status)
	}
	if a := s.call(t, "GET", "/api/v1/products", "", "Accept-Encoding: gzip", `If-None-Match: "other.gzip"`); a.status != 200 {
		t.Errorf("another tag: %d", a.status)
	}
	if a := s.call(t, "GET", "/api/v1/categories", "", "Accept-Encoding: gzip"); a.header.Get("Content-Encoding") != "" || a.status != 200 {
		t.Errorf("a small answer is in %q", a.header.Get("Content-Encoding"))
	}
	if a := s.call(t, "GET", "/api/v1/products", "", "Accept-Encoding: gzip;q=0"); a.header.Get("Content-Encoding") != "" {
		t.Error("who refuses gzip gets gzip")
	}
	for _, path := range []string{"/openapi.json", "/openapi.yaml"} {
		a := s.call(t, "GET", path, "", "Accept-Encoding: gzip")
		again := s.call(t, "GET", path, "", "Accept-Encoding: gzip", "If-None-Match: "+a.header.Get("ETag"))
		if a.header.Get("Content-Encoding") != "gzip" || again.status != 304 || again.header.Get("ETag") != a.header.Get("ETag") {
			t.Errorf("%s is in %q, then %d", path, a.header.Get("Content-Encoding"), again.status)
		}
	}
	if a := s.call(t, "GET", "/docs/swagger-ui-bundle.js", "", "Accept-Encoding: gzip"); a.header.Get("Content-Encoding") != "gzip" || !strings.Contains(unpack(t, a.body), "Swagger") {
		t.Error("the assets are packed twice, or not at all")
	}
}

func TestIfMatchTakesTheTagOfThePackedCopy(t *testing.T) {
	t.Parallel()
	s := setup(t)
	product := catalogue(4).GetProducts()[3]
	product.Description = strings.Repeat(product.GetDescription(), 10)
	s.on("GetProduct", &productv1.GetProductResponse{Product: product})
	tag := s.call(t, "GET", "/api/v1/products/x", "", "Accept-Encoding: gzip").header.Get("ETag")
	if !strings.HasSuffix(tag, gzipTag+`"`) {
		t.Fatalf("the tag is %s", tag)
	}
	var got string
	server := httptest.NewRecorder()
	handler, err := compress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("If-Match") }))
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/", http.NoBody)
	request.Header.Set("If-Match", tag)
	handler.ServeHTTP(server, request)
	if v, err := (IfMatch{got}).version(); err != nil || v == nil || *v != product.GetVersion() {
		t.Errorf("%s became %s, which is version %v, %v", tag, got, v, err)
	}
}

func TestSecretsAreNotCompressed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Register", &userv1.RegisterResponse{User: &userv1.User{Id: customerID, Name: "Ada"}, Tokens: &userv1.Tokens{AccessToken: strings.Repeat("secret", 1000)}})
	a := s.call(t, "POST", "/api/v1/auth/register", goodRegistration, "Accept-Encoding: gzip")
	if a.status != 201 || a.header.Get("Content-Encoding") != "" || len(a.body) < 6000 {
		t.Errorf("%d in %q", a.status, a.header.Get("Content-Encoding"))
	}
}

func TestHalfAPackedAnswerIsNotAWholeOne(t *testing.T) {
	t.Parallel()
	handler, err := compress(http.HandlerFunc(breakOff))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return // cut off before the first byte left: no answer at all
	}
	defer response.Body.Close()
	if _, err := new(bytes.Buffer).ReadFrom(response.Body); err == nil {
		t.Error("the client can't tell that something is missing")
	}
}

// breakOff answers half of what it has to say.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(bytes.Repeat([]byte("half an answer "), 10_000))
	panic(http.ErrAbortHandler)
}

// BenchmarkCompression is what compressLevel is chosen by: a page of 20 products.
func BenchmarkCompression(b *testing.B) {
	page := convertAll(catalogue(20).GetProducts(), func(p *productv1.Product) Product { return productOf(p, false) })
	raw, err := json.Marshal(page)
	if err != nil {
		b.Fatal(err)
	}
	for _, level := range []int{1, 3, 5, 6, 9} {
		b.Run(fmt.Sprint("level", level), func(b *testing.B) {
			var packed bytes.Buffer
			w, err := gzip.NewWriterLevel(&packed, level)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				packed.Reset()
				w.Reset(&packed)
				if _, err := w.Write(raw); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(packed.Len()), "packed-bytes")
		})
	}
}
