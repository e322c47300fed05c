package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/auth"
	"shop.example/platform/token"
)

// documented is an operation of the OpenAPI document, with what the document says of who may use it.
type documented struct {
	method, path string // the path begins after /api/v1, or with two slashes for one at the root
	rule         string // x-authorization
	protected    bool   // by security
}

func (d documented) String() string { return d.method + " " + d.path }

// aboutOne says whether it is about one object, whose id is in the path.
func (d documented) aboutOne() bool { return strings.Contains(d.path, "{") }

// readOperations reads the document as the gateway serves it.
func readOperations(t *testing.T, s *shop.Shop) []documented {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			Authorization string                 `json:"x-authorization"`
			Security      *[]map[string][]string `json:"security"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(s.Stranger(t).Get("//openapi.json").Body, &document); err != nil {
		t.Fatal(err)
	}
	var operations []documented
	for path, item := range document.Paths {
		short, within := strings.CutPrefix(path, shop.API)
		if !within {
			short = "/" + path
		}
		for method, o := range item {
			if o.Security == nil {
				t.Errorf("%s %s does not say what security it wants", method, path)
				continue
			}
			operations = append(operations, documented{
				method: strings.ToUpper(method), path: short, rule: o.Authorization, protected: len(*o.Security) > 0,
			})
		}
	}
	slices.SortFunc(operations, func(a, b documented) int { return strings.Compare(a.String(), b.String()) })
	return operations
}

// visitors are all kinds of people who come to the door.
var visitors = []string{"anonymous", "guest", "owner", "other customer", "staff", "admin", "disabled user", "deleted user", "expired token", "garbage token"}

// Whether a visitor's access token is not good, and whether it stands for staff.
var (
	badToken = map[string]bool{"disabled user": true, "deleted user": true, "expired token": true, "garbage token": true}
	isStaff  = map[string]bool{"staff": true, "admin": true}
)

// outcome is what a visitor must be answered, by the document: the status of a refusal, or 0 for being let in. What the document can't
// say is in the decision: whose body proves who asks, and which objects staff may work on.
func (d documented) outcome(visitor string, decided decision) int {
	switch {
	case decided.credentials:
		return 0
	case badToken[visitor]:
		return http.StatusUnauthorized
	case d.rule == "anonymous", d.rule == "guest":
		return 0
	case visitor == "anonymous", visitor == "guest": // a cart's token signs nobody in
		return http.StatusUnauthorized
	case d.rule == "admin" && visitor != "admin", d.rule == "staff" && !isStaff[visitor]:
		return http.StatusForbidden
	case d.rule == "owner" && d.aboutOne() && visitor != "owner" && (!isStaff[visitor] || !decided.staffToo):
		return http.StatusNotFound
	default:
		return 0
	}
}

// refusalCodes are the codes of refusals by status.
var refusalCodes = map[int]string{
	http.StatusUnauthorized: "unauthenticated", http.StatusForbidden: "permission_denied", http.StatusNotFound: "not_found",
}

// request is what a visitor sends.
type request struct {
	id      string // goes into the path
	item    string // {item_id} or {delivery_id}, where it is the second id of the path
	body    any
	headers []string
}

// scene is where a request is made up: the caller, and the customer whose object it is about.
type scene struct {
	t         *testing.T
	s         *shop.Shop
	me, owner *shop.Customer
}

// decision is what the contract says of an operation, and how to ask for it so that who is let in succeeds.
type decision struct {
	rule        string
	credentials bool // the body proves who asks: no access token is looked at
	staffToo    bool // staff may work on what belongs to others
	fresh       bool // the caller's account or session is another one afterwards
	ask         func(scene) request
}

// The contract's table, which is written down here a second time, on purpose: an operation that the document has and this one has
// not, or with another rule, is a decision that nobody has made.
var decisions = map[string]decision{
	"POST /auth/register": {rule: "anonymous", credentials: true, ask: func(scene) request {
		return request{body: map[string]string{"email": shop.NewEmail(), "password": shop.NewPassword(), "name": "Erika Test"}}
	}},
	"POST /auth/login": {rule: "anonymous", credentials: true, ask: func(c scene) request {
		return request{body: c.owner.Credentials()}
	}},
	"POST /auth/refresh": {rule: "anonymous", credentials: true, ask: func(c scene) request {
		return request{body: map[string]string{"refresh_token": c.owner.SignIn().RefreshToken}}
	}},
	"POST /auth/logout":           {rule: "signed_in", fresh: true, ask: plain},
	"GET //.well-known/jwks.json": {rule: "anonymous", ask: plain},

	"GET /users/me":   {rule: "owner", ask: plain},
	"PATCH /users/me": {rule: "owner", ask: func(scene) request { return request{body: map[string]string{"name": "Renamed"}} }},
	"DELETE /users/me": {rule: "owner", fresh: true, ask: func(c scene) request {
		return request{body: map[string]string{"password": c.me.Password}}
	}},
	"PUT /users/me/password": {rule: "owner", fresh: true, ask: func(c scene) request {
		return request{body: map[string]string{"current_password": c.me.Password, "new_password": shop.NewPassword()}}
	}},
	"GET /users/me/sessions":    {rule: "owner", ask: plain},
	"DELETE /users/me/sessions": {rule: "owner", fresh: true, ask: plain},
	"DELETE /users/me/sessions/{id}": {rule: "owner", ask: func(c scene) request {
		return request{id: shop.PrincipalOf(c.t, c.owner.SignIn().AccessToken).SessionID}
	}},
	"GET /users/me/addresses":         {rule: "owner", ask: plain},
	"POST /users/me/addresses":        {rule: "signed_in", ask: func(scene) request { return request{body: shop.Home} }},
	"GET /users/me/addresses/{id}":    {rule: "owner", ask: anAddress(nil)},
	"PATCH /users/me/addresses/{id}":  {rule: "owner", ask: anAddress(map[string]string{"city": "Hamburg"})},
	"DELETE /users/me/addresses/{id}": {rule: "owner", ask: anAddress(nil)},

	"GET /users":         {rule: "admin", ask: plain},
	"GET /users/{id}":    {rule: "admin", ask: aUser(nil)},
	"PATCH /users/{id}":  {rule: "admin", ask: aUser(map[string]string{"role": "staff"})},
	"DELETE /users/{id}": {rule: "admin", ask: aUser(nil)},

	"GET /products":      {rule: "anonymous", ask: plain},
	"GET /products/{id}": {rule: "anonymous", ask: aProduct(nil)},
	"POST /products": {rule: "staff", ask: func(scene) request {
		return request{body: map[string]any{"sku": "E2E-" + uuid.NewString(), "name": "Thing", "price": shop.Euro(100)}}
	}},
	"PATCH /products/{id}":  {rule: "staff", ask: aProduct(map[string]any{"name": "Renamed", "discount": nil})},
	"DELETE /products/{id}": {rule: "staff", ask: aProduct(nil)},
	"POST /products/import": {rule: "staff", ask: func(scene) request {
		line := shop.Raw(`{"sku":"E2E-` + uuid.NewString() + `","name":"Thing","price":{"amount":100,"currency":"EUR"}}`)
		return request{body: line, headers: []string{"Content-Type: " + shop.Lines}}
	}},
	"GET /products/{id}/stock-adjustments":  {rule: "staff", ask: aProduct(nil)},
	"POST /products/{id}/stock-adjustments": {rule: "staff", ask: aProduct(map[string]any{"delta": 1, "reason": "found"})},
	"GET /categories":                       {rule: "anonymous", ask: plain},
	"GET /categories/{id}":                  {rule: "anonymous", ask: ofACategory(nil)},
	"PATCH /categories/{id}":                {rule: "staff", ask: ofACategory(map[string]any{"name": "Renamed", "parent_id": nil})},
	"DELETE /categories/{id}":               {rule: "staff", ask: ofACategory(nil)},
	"POST /categories":                      {rule: "staff", ask: func(scene) request { return request{body: aCategory()} }},

	"GET /cart":    {rule: "guest", ask: plain},
	"DELETE /cart": {rule: "guest", ask: plain},
	"POST /cart/items": {rule: "guest", ask: func(c scene) request {
		return request{body: shop.Item{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1}}
	}},
	"PUT /cart/items/{product_id}": {rule: "guest", ask: aProduct(map[string]int{"quantity": 1})},
	"POST /cart/merge": {rule: "signed_in", ask: func(c scene) request {
		return request{body: map[string]string{"cart_token": aCart(c.t, c.s)}}
	}},
	"DELETE /cart/items/{product_id}": {rule: "guest", ask: aProduct(nil)},

	"GET /shipping-methods": {rule: "anonymous", ask: plain},
	"POST /orders": {rule: "signed_in", ask: func(c scene) request {
		wish := shop.ByCard("", shop.Item{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1})
		return request{body: wish, headers: []string{shop.NewKey()}}
	}},
	"GET /orders":              {rule: "owner", ask: plain},
	"GET /orders/{id}":         {rule: "owner", staffToo: true, ask: anOrder(nil)},
	"POST /orders/{id}/cancel": {rule: "owner", staffToo: true, ask: anOrder(map[string]string{"reason": "why not"})},
	"POST /orders/{id}/pay":    {rule: "owner", ask: anOrder(shop.Payment{Method: "card", Token: "tok_ok"})},

	"POST /orders/quote": {rule: "signed_in", ask: func(c scene) request {
		return request{body: map[string]any{"items": []shop.Item{{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1}}}}
	}},
	"POST /orders/{id}/items": {rule: "owner", ask: func(c scene) request {
		return request{id: anOrder(nil)(c).id, body: shop.Item{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1}}
	}},
	"DELETE /orders/{id}/items/{item_id}": {rule: "owner", ask: func(c scene) request {
		wish := shop.ByCard("", shop.Item{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1}, shop.Item{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1})
		order := shop.Want[shop.Order](c.t, http.StatusCreated, c.owner.Place(wish))
		return request{id: order.ID, item: order.Items[1].ID}
	}},
	"PATCH /orders/{id}/status": {rule: "staff", ask: func(c scene) request {
		return request{id: aPaidOrder(c), body: map[string]string{"status": "processing"}}
	}},
	"POST /orders/{id}/refunds": {rule: "staff", ask: func(c scene) request {
		return request{id: aPaidOrder(c), body: shop.Refund{Amount: 1, Reason: "why not"}}
	}},
	"POST /payments/events/{provider}": {rule: "anonymous", credentials: true, ask: func(c scene) request {
		body := `{"data":{"payment":{"reference":"` + uuid.NewString() + `"}}}`
		return request{id: "test", body: shop.Raw(body), headers: c.s.SignedEvent(c.t, body, time.Now())}
	}},

	"GET /coupons":         {rule: "admin", ask: plain},
	"GET /coupons/{id}":    {rule: "admin", ask: aCoupon(nil)},
	"PATCH /coupons/{id}":  {rule: "admin", ask: aCoupon(map[string]any{"value": 20})},
	"DELETE /coupons/{id}": {rule: "admin", ask: aCoupon(nil)},
	"POST /coupons": {rule: "admin", ask: func(scene) request {
		return request{body: shop.Coupon{Code: "E2E-" + uuid.NewString(), Type: "percent", Value: 10}}
	}},

	"GET /webhook-endpoints":         {rule: "admin", ask: plain},
	"GET /webhook-endpoints/{id}":    {rule: "admin", ask: anEndpoint(nil)},
	"PATCH /webhook-endpoints/{id}":  {rule: "admin", ask: anEndpoint(map[string]any{"status": "disabled"})},
	"DELETE /webhook-endpoints/{id}": {rule: "admin", ask: anEndpoint(nil)},
	"POST /webhook-endpoints": {rule: "admin", ask: func(c scene) request {
		return request{body: map[string]any{"url": nobodyThere}}
	}},
	"GET /webhook-endpoints/{id}/deliveries":                          {rule: "admin", ask: anEndpoint(nil)},
	"POST /webhook-endpoints/{id}/deliveries/{delivery_id}/redeliver": {rule: "admin", ask: aDelivery},
	"GET /audit/findings":                                             {rule: "admin", ask: plain},
	"POST /audit/findings/{id}/repair": {rule: "admin", ask: func(c scene) request {
		return request{id: c.s.OldFinding(c.t)}
	}},

	"GET //healthz": {rule: "anonymous", ask: plain},
	"GET //readyz":  {rule: "anonymous", ask: plain},
}

func plain(scene) request { return request{} }

func anAddress(body any) func(scene) request {
	return func(c scene) request {
		return request{id: shop.Want[shop.AddressEntry](c.t, http.StatusCreated, c.owner.Post("/users/me/addresses", shop.Home)).ID, body: body}
	}
}

// aCart is a guest's, by its token.
func aCart(t *testing.T, s *shop.Shop) string {
	a := s.Stranger(t).Post("/cart/items", shop.Item{ProductID: s.NewProduct(t, 5, 100).ID, Quantity: 1})
	shop.Want[shop.Cart](t, http.StatusOK, a)
	return a.Header.Get("X-Cart-Token")
}

func aUser(body any) func(scene) request {
	return func(c scene) request { return request{id: c.s.NewCustomer(c.t).ID, body: body} }
}

func aProduct(body any) func(scene) request {
	return func(c scene) request { return request{id: c.s.NewProduct(c.t, 5, 100).ID, body: body} }
}

func ofACategory(body any) func(scene) request {
	return func(c scene) request {
		return request{id: shop.Want[shop.Category](c.t, http.StatusCreated, c.s.Admin(c.t).Post("/categories", aCategory())).ID, body: body}
	}
}

func aCategory() map[string]string { return map[string]string{"name": "Category " + uuid.NewString()} }

// anOrder is a pending one, which can still be paid and cancelled.
func anOrder(body any) func(scene) request {
	return func(c scene) request {
		wish := shop.ByCard("", shop.Item{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1})
		return request{id: shop.Want[shop.Order](c.t, http.StatusCreated, c.owner.Place(wish)).ID, body: body}
	}
}

// aPaidOrder is one of the owner's, confirmed.
func aPaidOrder(c scene) string {
	wish := shop.ByCard("tok_ok", shop.Item{ProductID: c.s.NewProduct(c.t, 5, 100).ID, Quantity: 1})
	return shop.Want[shop.Order](c.t, http.StatusCreated, c.owner.Place(wish)).ID
}

func aCoupon(body any) func(scene) request {
	return func(c scene) request {
		return request{id: c.s.NewCoupon(c.t, shop.Coupon{Type: "percent", Value: 10}).ID, body: body}
	}
}

// nobodyThere is where nothing listens, so that what is sent there is over soon.
const nobodyThere = "http://127.0.0.1:1/"

func anEndpoint(body any) func(scene) request {
	return func(c scene) request {
		return request{id: c.s.NewEndpoint(c.t, nobodyThere, "order.refunded").ID, body: body}
	}
}

// somebodyThere takes all that it is sent, as long as there are tests: also of an order of another test, which comes late.
var somebodyThere = sync.OnceValue(func() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
})

// aDelivery is of the creation of an order, to an endpoint that nothing more is sent to, but for what is on its way: see sent.
func aDelivery(c scene) request {
	endpoint := c.s.NewEndpoint(c.t, somebodyThere().URL, "order.created")
	anOrder(nil)(c)
	change := map[string]any{"events": []string{"order.refunded"}}
	shop.Want[shop.Endpoint](c.t, http.StatusOK, c.s.Admin(c.t).Do(http.MethodPatch, "/webhook-endpoints/"+endpoint.ID, change))
	var deliveries []shop.Delivery
	shop.Await(c.t, 10*time.Second, func() error {
		deliveries = c.s.Deliveries(c.t, endpoint.ID)
		for _, d := range deliveries {
			if d.Status != "delivered" {
				return fmt.Errorf("delivery %+v", d)
			}
		}
		return nil
	})
	return request{id: endpoint.ID, item: deliveries[0].ID}
}

// sent waits until nothing waits to be sent, which would change by itself.
func sent(t *testing.T, s *shop.Shop) {
	t.Helper()
	shop.Await(t, 10*time.Second, func() error {
		endpoints := shop.Want[shop.Page[shop.Endpoint]](t, http.StatusOK, s.Admin(t).Get("/webhook-endpoints?page_size=100"))
		if endpoints.NextPageToken != "" {
			t.Fatal("there are more endpoints than a page has")
		}
		for _, endpoint := range endpoints.Items {
			for _, d := range s.Deliveries(t, endpoint.ID) {
				if d.Status == "pending" {
					return fmt.Errorf("delivery %+v", d)
				}
			}
		}
		return nil
	})
}

// cell is one of the matrix.
type cell struct {
	operation documented
	visitor   string
	me, owner *shop.Customer
	decided   decision
	want      int // 0 for being let in
	request   request
	cart      string // the token of a guest's cart
}

// TestAuthorization sends every operation as every visitor. Who is let in succeeds; who is refused is refused by the contract's status,
// and nothing at all has changed in the databases afterwards.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, nil)
	operations := readOperations(t, s)
	if !decided(t, operations) {
		return
	}
	people, cart := gather(t, s), aCart(t, s)

	var refused, allowed [][]*cell // by operation
	for _, o := range operations {
		var out, in []*cell
		if o.aboutOne() {
			people["owner"] = s.NewCustomer(t) // one for each operation: an address book has an end
		}
		for _, visitor := range visitors {
			c := &cell{operation: o, visitor: visitor, me: people[visitor], owner: people["owner"], decided: decisions[o.String()], cart: cart}
			if c.want = o.outcome(visitor, c.decided); c.want == 0 {
				in = append(in, c)
			} else {
				out = append(out, c)
			}
		}
		refused, allowed = append(refused, out), append(allowed, in)
	}

	// All objects first: between the two looks at the databases there is nothing but what must be refused.
	each(t, "what is refused is there", refused, func(t *testing.T, c *cell) {
		c.request = c.decided.ask(scene{t, s, c.me.For(t), c.owner.For(t)})
	})
	sent(t, s)
	before := s.State(t)
	each(t, "refused", refused, func(t *testing.T, c *cell) {
		shop.WantProblem(t, c.want, refusalCodes[c.want], c.send(c.me.For(t)))
	})
	for _, change := range before.Changes(s.State(t)) {
		t.Errorf("refused, and yet: %s", change)
	}

	each(t, "let in", allowed, func(t *testing.T, c *cell) {
		me := c.me.For(t)
		if c.decided.fresh {
			me = s.NewUser(t, shop.PrincipalOf(t, me.Token).Role)
		}
		c.request = c.decided.ask(scene{t, s, me, c.owner.For(t)})
		if a := c.send(me); a.Status < http.StatusOK || a.Status >= http.StatusMultipleChoices {
			t.Errorf("let in, and yet: %s", a)
		}
	})
	in, out := len(slices.Concat(allowed...)), len(slices.Concat(refused...))
	t.Logf("%d operations × %d visitors = %d cells: %d let in, %d refused", len(operations), len(visitors), in+out, in, out)
}

// decided checks that the document and the decisions are about the same operations and say the same.
func decided(t *testing.T, operations []documented) bool {
	t.Helper()
	seen := map[string]bool{}
	for _, o := range operations {
		seen[o.String()] = true
		d, is := decisions[o.String()]
		switch {
		case !is:
			t.Errorf("%s: nobody has decided who may use it", o)
		case d.rule != o.rule:
			t.Errorf("%s: the document says %q, the contract %q", o, o.rule, d.rule)
		case o.protected != (o.rule != "anonymous"):
			t.Errorf("%s: the document's security and its x-authorization %q disagree", o, o.rule)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(decisions)) {
		if !seen[name] {
			t.Errorf("%s: there is no such operation", name)
		}
	}
	return !t.Failed()
}

// gather makes the visitors.
func gather(t *testing.T, s *shop.Shop) map[string]*shop.Customer {
	t.Helper()
	people := map[string]*shop.Customer{
		"anonymous":      {Client: s.Stranger(t), Password: shop.NewPassword()},
		"guest":          {Client: s.Stranger(t), Password: shop.NewPassword()},
		"owner":          s.NewCustomer(t),
		"other customer": s.NewCustomer(t),
		"staff":          s.NewUser(t, auth.Staff),
		"admin":          s.NewUser(t, auth.Admin),
		"disabled user":  s.NewCustomer(t),
		"deleted user":   s.NewCustomer(t),
	}
	// A real one but for its age, and the owner's at that.
	owner := people["owner"]
	expired := *owner
	expired.Client = owner.With(s.Sign(t, time.Now().Add(-token.Lifetime-time.Minute), shop.PrincipalOf(t, owner.Token)))
	garbage := *owner
	garbage.Client = owner.With("garbage")
	people["expired token"], people["garbage token"] = &expired, &garbage

	shop.Want[shop.User](t, http.StatusOK, s.Admin(t).Do(http.MethodPatch, "/users/"+people["disabled user"].ID, map[string]string{"status": "disabled"}))
	shop.WantNothing(t, s.Admin(t).Do(http.MethodDelete, "/users/"+people["deleted user"].ID, nil))
	mustEndEverywhere(t, people["disabled user"].Client)
	mustEndEverywhere(t, people["deleted user"].Client)
	return people
}

// each runs something for the cells, those of different operations side by side.
func each(t *testing.T, name string, cells [][]*cell, run func(*testing.T, *cell)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		for _, row := range cells {
			if len(row) == 0 {
				continue
			}
			t.Run(row[0].operation.String(), func(t *testing.T) {
				t.Parallel()
				for _, c := range row {
					t.Run(c.visitor, func(t *testing.T) { run(t, c) })
				}
			})
		}
	})
	if t.Failed() {
		t.FailNow() // what comes after would only confuse
	}
}

// send sends the request of a cell.
func (c *cell) send(me *shop.Customer) *shop.Answer {
	path := c.operation.path
	if c.request.item != "" {
		path = strings.NewReplacer("{item_id}", c.request.item, "{delivery_id}", c.request.item).Replace(path)
	}
	if before, rest, found := strings.Cut(path, "{"); found {
		_, after, _ := strings.Cut(rest, "}")
		path = before + c.request.id + after
	}
	headers := c.request.headers
	if c.visitor == "guest" {
		headers = append(slices.Clone(headers), "X-Cart-Token: "+c.cart)
	}
	return me.Do(c.operation.method, path, c.request.body, headers...)
}
