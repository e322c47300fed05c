package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	moneyv1 "shop.example/proto/money/v1"
	orderv1 "shop.example/proto/order/v1"
	productv1 "shop.example/proto/product/v1"
)

// clock makes time pass for the cache when the test says so. It is called before the first request.
func (s *shop) clock() (pass func(time.Duration)) {
	begin := time.Now()
	var passed atomic.Int64
	s.server.reads.now = func() time.Time { return begin.Add(time.Duration(passed.Load())) }
	return func(d time.Duration) { passed.Add(int64(d)) }
}

func cents(amount int64) *moneyv1.Money { return &moneyv1.Money{Amount: amount, Currency: "EUR"} }

// sells answers a product and counts how often it was asked for.
func (s *shop) sells(price int64) *atomic.Int64 {
	var calls atomic.Int64
	s.on("GetProduct", func(context.Context) (proto.Message, error) {
		calls.Add(1)
		return &productv1.GetProductResponse{Product: &productv1.Product{Id: productID, Price: cents(price)}}, nil
	})
	return &calls
}

// costs reads the product, and is what a client is told: the amount, and where from.
func (s *shop) costs(t *testing.T) (amount float64, a answer) {
	t.Helper()
	a = s.call(t, "GET", "/api/v1/products/lamp", "")
	price, _ := a.json["price"].(map[string]any)
	amount, _ = price["amount"].(float64)
	return amount, a
}

// A hundred want a cold product at the same moment: product-service is asked once, and all have the answer.
func TestStampede(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.MaxInFlight, o.Limiter = 200, nil })
	s.clock()
	const crowd = 100
	var calls, waiting atomic.Int64
	release := make(chan struct{})
	s.on("GetProduct", func(ctx context.Context) (proto.Message, error) {
		calls.Add(1)
		select {
		case <-release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return &productv1.GetProductResponse{Product: &productv1.Product{Id: productID}}, nil
	})
	var all sync.WaitGroup
	failed := make(chan string, crowd)
	for range crowd {
		all.Go(func() {
			if waiting.Add(1) == crowd {
				close(release)
			}
			if a := s.call(t, "GET", "/api/v1/products/lamp", ""); a.status != http.StatusOK || a.json["id"] != productID {
				failed <- a.body
			}
		})
	}
	all.Wait()
	close(failed)
	for body := range failed {
		t.Errorf("one of the crowd was answered %s", body)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("product-service was asked %d times, want once", n)
	}
}

func TestReadsAreFreshForASecond(t *testing.T) {
	t.Parallel()
	s := setup(t)
	pass := s.clock()
	calls := s.sells(100)
	if amount, a := s.costs(t); amount != 100 || a.header.Get("Cache-Status") != "shop; fwd=miss" || a.header.Get("Age") != "" {
		t.Errorf("cold: %v, %v", amount, a.header)
	}
	s.sells(200)
	pass(freshFor - time.Millisecond)
	amount, a := s.costs(t)
	if amount != 100 || a.header.Get("Cache-Status") != "shop; hit" || a.header.Get("Age") != "1" || a.header.Get("Cache-Control") != publicCaching {
		t.Errorf("within the second: %v, %v", amount, a.header)
	}
	pass(time.Millisecond)
	if amount, _ := s.costs(t); amount != 200 || calls.Load() != 1 {
		t.Errorf("after it: %v, the first answer was asked for %d times", amount, calls.Load())
	}
}

// Who has changed something through this gateway, or may have, reads it at once: whatever call it was, and whatever came of it.
func TestOwnWritesAreReadAtOnce(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]struct {
		role                    auth.Role
		method, path, body, rpc string
	}{
		"a product":        {auth.Staff, "PATCH", "/api/v1/products/" + productID, `{"name":"Lamp"}`, "UpdateProduct"},
		"its stock":        {auth.Staff, "POST", "/api/v1/products/" + productID + "/stock-adjustments", `{"delta":1,"reason":"found"}`, "AdjustStock"},
		"an order":         {auth.Customer, "POST", "/api/v1/orders", goodOrder, "PlaceOrder"},
		"its cancellation": {auth.Customer, "POST", "/api/v1/orders/" + orderID + "/cancel", `{}`, "CancelOrder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.clock()
			s.sells(100)
			s.costs(t)
			s.on(write.rpc, apperr.New(apperr.Unavailable, "dependency_unavailable", "It is not known what came of it."))
			s.sells(200)
			s.as(t, write.role, write.method, write.path, write.body, "Idempotency-Key: k")
			if amount, a := s.costs(t); amount != 200 {
				t.Errorf("after it the price is %v: %v", amount, a.header)
			}
			s.on("GetOrder", apperr.New(apperr.NotFound, "not_found", "No."))
			s.sells(300)
			s.as(t, auth.Customer, "GET", "/api/v1/orders/"+orderID, "")
			if amount, _ := s.costs(t); amount != 200 {
				t.Errorf("a read made an end of what was kept: %v", amount)
			}
		})
	}
}

// Who is refused has changed nothing, and can't make everybody's reads slow.
func TestRefusalsKeepTheCache(t *testing.T) {
	t.Parallel()
	for _, kind := range []apperr.Kind{apperr.Malformed, apperr.Invalid, apperr.Unauthenticated, apperr.NotFound} {
		s := setup(t)
		s.clock()
		s.sells(100)
		s.costs(t)
		s.on("CancelOrder", apperr.New(kind, kind.DefaultReason(), "No."))
		s.sells(200)
		s.as(t, auth.Customer, "POST", "/api/v1/orders/"+orderID+"/cancel", `{}`)
		asked[*orderv1.CancelOrderRequest](t, s, "CancelOrder")
		if amount, a := s.costs(t); amount != 100 {
			t.Errorf("%s: product-service was asked again: %v", kind, a.header)
		}
	}
}

// What is written has the tag that it is read by.
func TestTagsOfWritesAreThoseOfReads(t *testing.T) {
	t.Parallel()
	s := setup(t)
	product := &productv1.Product{Id: productID, Version: 7, Price: cents(100)}
	category := &productv1.Category{Id: categoryID, Version: 3}
	s.on("CreateProduct", &productv1.CreateProductResponse{Product: product})
	s.on("UpdateProduct", &productv1.UpdateProductResponse{Product: product})
	s.on("GetProduct", &productv1.GetProductResponse{Product: product})
	s.on("CreateCategory", &productv1.CreateCategoryResponse{Category: category})
	s.on("UpdateCategory", &productv1.UpdateCategoryResponse{Category: category})
	s.on("GetCategory", &productv1.GetCategoryResponse{Category: category})
	for _, c := range [][3]string{
		{"/api/v1/products", productID, `{"sku":"A","name":"N","price":{"amount":100,"currency":"EUR"}}`},
		{"/api/v1/categories", categoryID, `{"name":"N"}`},
	} {
		collection, one, body := c[0], c[0]+"/"+c[1], c[2]
		read := s.as(t, auth.Staff, "GET", one, "").header.Get("ETag")
		for method, path := range map[string]string{"POST": collection, "PATCH": one} {
			if a := s.as(t, auth.Staff, method, path, body); a.header.Get("ETag") != read || read == "" {
				t.Errorf("%s %s: %d %s, and read it is %s", method, path, a.status, a.header.Get("ETag"), read)
			}
		}
	}
}

// After a write product-service is asked, though it had been away and was to be left alone for a moment.
func TestOwnWritesAreReadAtOnceAfterAFailure(t *testing.T) {
	t.Parallel()
	s := setup(t)
	pass := s.clock()
	s.sells(100)
	s.costs(t)
	pass(freshFor)
	s.on("GetProduct", apperr.New(apperr.Unavailable, "dependency_unavailable", "Away."))
	s.costs(t)
	s.sells(200)
	if amount, a := s.costs(t); amount != 100 {
		t.Errorf("it was not left alone: %v %v", amount, a.header)
	}
	s.on("UpdateProduct", &productv1.UpdateProductResponse{Product: &productv1.Product{Id: productID}})
	s.as(t, auth.Staff, "PATCH", "/api/v1/products/"+productID, `{"name":"Lamp"}`)
	if amount, a := s.costs(t); amount != 200 {
		t.Errorf("after the write the price is %v: %v", amount, a.header)
	}
}

// A read that began before a write does not answer one that begins after it.
func TestReadsUnderWayAnswerNoLaterOne(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.clock()
	asked, release := make(chan struct{}), make(chan struct{})
	s.on("GetProduct", func(ctx context.Context) (proto.Message, error) {
		close(asked)
		select {
		case <-release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return &productv1.GetProductResponse{Product: &productv1.Product{Id: productID, Price: cents(100)}}, nil
	})
	first := make(chan float64, 1)
	go func() {
		amount, _ := s.costs(t)
		first <- amount
	}()
	<-asked
	s.on("UpdateProduct", apperr.New(apperr.Unavailable, "dependency_unavailable", "It is not known what came of it."))
	s.as(t, auth.Staff, "PATCH", "/api/v1/products/"+productID, `{"name":"Lamp"}`)
	s.sells(200)
	if amount, a := s.costs(t); amount != 200 {
		t.Errorf("after the write the price is %v: %v", amount, a.header)
	}
	close(release)
	if amount := <-first; amount != 100 {
		t.Errorf("the read before it: %v", amount)
	}
	if amount, _ := s.costs(t); amount != 200 {
		t.Errorf("what the read before it found is served: %v", amount)
	}
}

// What is asked for in another way is another entry; what nobody asked for yet is no hit.
func TestQuestionsAreToldApart(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.clock()
	var calls atomic.Int64
	s.on("ListProducts", func(context.Context) (proto.Message, error) {
		return &productv1.ListProductsResponse{NextPageToken: fmt.Sprint(calls.Add(1))}, nil
	})
	seen := map[string]string{}
	for range 2 {
		for _, query := range []string{"", "?q=a", "?q=b", "?category=a", "?min_price=0", "?max_price=0", "?in_stock=false", "?in_stock=true", "?sort=name", "?page_size=7", "?page_token=a", "?include_total=true"} {
			a := s.call(t, "GET", "/api/v1/products"+query, "")
			if before, again := seen[query]; again && before != a.body {
				t.Errorf("%q: %s, and then %s", query, before, a.body)
			}
			seen[query] = a.body
		}
	}
	if calls.Load() != 12 {
		t.Errorf("product-service was asked %d times, want 12", calls.Load())
	}
}

// Staff see the truth, and what only they may see never gets into the cache.
func TestStaffBypassTheCache(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.clock()
	hand := int64(5)
	for price := range int64(3) {
		s.on("GetProduct", &productv1.GetProductResponse{Product: &productv1.Product{
			Id: productID, Price: cents(price), Stock: &productv1.Stock{Available: 1, OnHand: hand, Reserved: 4},
		}})
		for _, role := range []auth.Role{auth.Staff, auth.Admin} {
			a := s.as(t, role, "GET", "/api/v1/products/lamp", "")
			if !strings.Contains(a.body, fmt.Sprintf(`"amount":%d`, price)) || !strings.Contains(a.body, "on_hand") ||
				a.header.Get("Cache-Control") != privateCaching || a.header.Get("Cache-Status") != "" {
				t.Errorf("%s: %s, %v", role, a.body, a.header)
			}
		}
		for _, a := range []answer{s.as(t, auth.Customer, "GET", "/api/v1/products/lamp", ""), s.call(t, "GET", "/api/v1/products/lamp", "")} {
			if !strings.Contains(a.body, `"amount":0`) || strings.Contains(a.body, "on_hand") {
				t.Errorf("a customer: %s", a.body)
			}
		}
	}
}

// The question goes to product-service as nobody's: its answer is for all.
func TestSharedReadsBearNoUser(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.clock()
	s.on("GetProduct", func(ctx context.Context) (proto.Message, error) {
		if p, ok := auth.FromContext(ctx); ok {
			return nil, fmt.Errorf("asked in the name of %s", p.UserID)
		}
		if _, bounded := ctx.Deadline(); !bounded {
			return nil, errors.New("asked without an end")
		}
		return &productv1.GetProductResponse{Product: &productv1.Product{Id: productID}}, nil
	})
	if a := s.as(t, auth.Customer, "GET", "/api/v1/products/lamp", ""); a.status != http.StatusOK {
		t.Error(a.body, s.log)
	}
}

func TestStaleIfError(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"away": errDown, "too slow": apperr.New(apperr.DeadlineExceeded, "deadline_exceeded", "late"), "broken": errors.New("nil map"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			pass := s.clock()
			s.sells(100)
			_, fresh := s.costs(t)
			pass(time.Minute)
			var calls atomic.Int64
			s.on("GetProduct", func(context.Context) (proto.Message, error) {
				calls.Add(1)
				return nil, failure
			})
			for range 3 { // within a second of the failure, nobody asks again
				amount, a := s.costs(t)
				if a.status != 200 || amount != 100 || a.header.Get("Age") != "60" || a.header.Get("Cache-Status") != "shop; hit; ttl=-59; detail=stale-if-error" {
					t.Errorf("%d %s %v", a.status, a.body, a.header)
				}
			}
			if calls.Load() != 1 {
				t.Errorf("asked %d times, want once", calls.Load())
			}
			if a := s.call(t, "GET", "/api/v1/products/lamp", "", "If-None-Match: "+fresh.header.Get("ETag")); a.status != http.StatusNotModified {
				t.Errorf("with a condition: %d", a.status)
			}
			if a := s.call(t, "GET", "/api/v1/products/other", ""); a.status < 500 || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("an unknown one: %d %v", a.status, a.header)
			}
			pass(staleFor - time.Minute)
			if _, a := s.costs(t); a.status < 500 {
				t.Errorf("after five minutes: %d", a.status)
			}
			s.sells(200)
			if amount, a := s.costs(t); amount != 200 || a.header.Get("Cache-Status") != "shop; fwd=miss" {
				t.Errorf("back again: %v %v", amount, a.header)
			}
		})
	}
}

// A product-service that hangs is waited for for a moment only, and what it answers in the end is kept.
func TestStaleWhileHanging(t *testing.T) {
	t.Parallel()
	s := setup(t)
	pass := s.clock()
	s.sells(100)
	s.costs(t)
	pass(freshFor)
	release, landed := make(chan struct{}), make(chan struct{})
	s.on("GetProduct", func(ctx context.Context) (proto.Message, error) {
		defer close(landed)
		select {
		case <-release:
			return &productv1.GetProductResponse{Product: &productv1.Product{Id: productID, Price: cents(200)}}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	if amount, a := s.costs(t); amount != 100 || !strings.Contains(a.header.Get("Cache-Status"), "stale-if-error") {
		t.Errorf("%v %v", amount, a.header)
	}
	close(release)
	<-landed
	deadline := time.Now().Add(5 * time.Second)
	for amount := 100.0; amount != 200; amount, _ = s.costs(t) {
		if time.Now().After(deadline) {
			t.Fatal("the late answer was not kept")
		}
	}
}

// What is there no more is not served from the cache, also if product-service is away later; and what is new is seen at once.
func TestMissingIsNotKept(t *testing.T) {
	t.Parallel()
	s := setup(t)
	pass := s.clock()
	s.sells(100)
	s.costs(t)
	pass(freshFor)
	s.on("GetProduct", apperr.Missing("product"))
	_, a := s.costs(t)
	a.mustBeProblem(t, http.StatusNotFound, "not_found")
	s.on("GetProduct", errDown)
	_, a = s.costs(t)
	a.mustBeProblem(t, http.StatusServiceUnavailable, "dependency_unavailable")
	s.sells(300)
	if amount, _ := s.costs(t); amount != 300 {
		t.Errorf("the new one: %v", amount)
	}
}

// A panic in the goroutine of a flight is one answer's failure, not the process's.
func TestPanicWhileLoading(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.clock()
	s.on("GetProduct", func(context.Context) (proto.Message, error) { panic("secret-table") })
	_, a := s.costs(t)
	a.mustBeProblem(t, http.StatusInternalServerError, "internal")
	if strings.Contains(a.body, "secret-table") || !strings.Contains(s.log.String(), "secret-table") {
		t.Error("the panic belongs into the log, and only there")
	}
}

// However much is asked for, the cache holds what it may.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c, err := newReadCache(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 1<<20)
	for i := range 3 * cacheSize / len(page) {
		_, _, _, err := c.read(t.Context(), fmt.Sprint(i), func(context.Context) (representation, error) {
			return representation{json: page}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.entries.CleanUp()
	if size := c.entries.WeightedSize(); size > cacheSize || size < cacheSize/2 {
		t.Errorf("it holds %d bytes, want at most %d and not much less", size, cacheSize)
	}
}
