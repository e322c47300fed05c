package httpapi

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"shop.example/api-gateway/internal/clientip"
	"shop.example/api-gateway/internal/ratelimit"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/health"
	"shop.example/platform/logging"
	"shop.example/platform/token"
)

const (
	customerID = "01890a5d-ac96-774b-bcce-b302099a8057"
	productID  = "01890a5d-ac96-774b-bcce-b302099a8058"
	orderID    = "01890a5d-ac96-774b-bcce-b302099a8059"
)

// backend stands for all services: it answers a method with what the test says, and remembers what it was asked.
type backend struct {
	t  testing.TB
	mu sync.Mutex
	// answers are by method name; each is a proto.Message, an error, or a func(context.Context) (proto.Message, error).
	answers map[string]any
	// requests are the last ones, by method.
	requests map[string]any
}

func (b *backend) on(method string, answer any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[method] = answer
}

// asked is the last request of a method.
func asked[M proto.Message](t testing.TB, s *shop, method string) M {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.requests[method].(M)
	if !ok {
		t.Fatalf("%s was not called", method)
	}
	return m
}

func (b *backend) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	name := method[strings.LastIndexByte(method, '/')+1:]
	b.mu.Lock()
	answer, ok := b.answers[name]
	b.requests[name] = args
	b.mu.Unlock()
	if !ok {
		return fmt.Errorf("secret-host:5432: nobody answers %s", method)
	}
	if f, ok := answer.(func(context.Context) (proto.Message, error)); ok {
		m, err := f(ctx)
		if err != nil {
			return err
		}
		answer = m
	}
	if err, ok := answer.(error); ok {
		return fmt.Errorf("call %s: %w", method, err)
	}
	to, isMessage := reply.(proto.Message)
	from, isToo := answer.(proto.Message)
	if !isMessage || !isToo {
		return fmt.Errorf("%T can't answer %s", answer, method)
	}
	proto.Merge(to, from)
	return nil
}

func (b *backend) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, fmt.Errorf("there are no streams")
}

// shop is a gateway under test.
type shop struct {
	*backend
	url    string
	server *Server
	signer *token.Signer
	log    *syncBuffer
	health *health.Monitor
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newSigner(t testing.TB, now func() time.Time) *token.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := token.NewSigner(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), now)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// setup starts a gateway; change may alter its options.
func setup(t *testing.T, change ...func(*Options)) *shop {
	t.Helper()
	b := &backend{t: t, answers: map[string]any{}, requests: map[string]any{}}
	s := &shop{backend: b, signer: newSigner(t, time.Now), log: new(syncBuffer)}
	begun := time.Now() // time stands still for limits: on a busy machine they would refill as fast as they are used up
	log := logging.New(s.log, "api-gateway", nil)
	s.health = health.NewMonitor(log, health.Check{Name: "user-service", Optional: true, Probe: func(context.Context) error { return nil }})
	if err := s.health.Component().Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.health.Component().Stop(context.Background()) })
	o := Options{
		Services: Services{Users: b, Products: b, Carts: b, Orders: b},
		Verify:   token.NewVerifier(func(context.Context) ([]byte, error) { return s.signer.KeySet() }, 5*time.Second, time.Now).Verify,
		Health:   s.health, Limiter: ratelimit.New(nil, log, func() time.Time { return begun }),
		Clients: clientip.NewResolver([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}), MaxInFlight: 64, Log: log,
	}
	for _, c := range change {
		c(&o)
	}
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server.guard = ratelimit.New(nil, log, func() time.Time { return begun })
	s.server = server
	test := httptest.NewUnstartedServer(nil)
	test.Config = server.HTTPServer()
	test.Start()
	t.Cleanup(test.Close)
	s.url = test.URL
	return s
}

func (s *shop) token(t testing.TB, role auth.Role) string {
	t.Helper()
	raw, err := s.signer.Sign(auth.Principal{UserID: customerID, Role: role, SessionID: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

// call makes a request. headers are "Name: value".
func (s *shop) call(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	return s.send(t, method, path, reader, headers...)
}

func (s *shop) send(t testing.TB, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(raw)}
	_ = json.Unmarshal(raw, &a.json)
	s.mustBeDocumented(t, method, request.URL.EscapedPath(), a)
	return a
}

// mustBeDocumented holds an answer of an operation against the OpenAPI document: its status must be there, and the code of
// a problem among those of the status.
func (s *shop) mustBeDocumented(t testing.TB, method, path string, a answer) {
	t.Helper()
	route := chi.NewRouteContext()
	if !s.server.router.Match(route, method, path) {
		return
	}
	op := operationsOf(s.server.api.OpenAPI())[method+" "+route.RoutePattern()]
	if op == nil {
		return // the document itself, and its page
	}
	response := resolve(s.server.api.OpenAPI(), op.Responses[strconv.Itoa(a.status)])
	if response == nil {
		t.Errorf("%s answers %d %s, which is not in the document", op.OperationID, a.status, a.body)
		return
	}
	if problem := response.Content[problemContentType]; problem != nil {
		if code, _ := a.json["code"].(string); problem.Examples[code] == nil {
			t.Errorf("%s answers %d %s, which is not in the document", op.OperationID, a.status, code)
		}
	}
}

// as makes a request with a good token.
func (s *shop) as(t testing.TB, role auth.Role, method, path, body string, headers ...string) answer {
	t.Helper()
	return s.call(t, method, path, body, append(headers, "Authorization: Bearer "+s.token(t, role))...)
}

// mustBeProblem checks the shape that all errors have.
func (a answer) mustBeProblem(t testing.TB, status int, code string) {
	t.Helper()
	if a.status != status || a.json["code"] != code {
		t.Errorf("got %d %v, want %d %s: %s", a.status, a.json["code"], status, code, a.body)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type is %q", ct)
	}
	for _, member := range []string{"type", "title", "status", "detail", "instance", "code", "request_id"} {
		if v, ok := a.json[member]; !ok || v == "" {
			t.Errorf("%s is missing: %s", member, a.body)
		}
	}
	if id := a.header.Get("X-Request-ID"); id == "" || id != a.json["request_id"] {
		t.Errorf("X-Request-ID is %q, request_id %v", id, a.json["request_id"])
	}
	if status == http.StatusUnauthorized && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
		t.Error("a 401 without WWW-Authenticate: Bearer")
	}
	if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && a.header.Get("Retry-After") == "" {
		t.Errorf("a %d without Retry-After", status)
	}
}

// locations are those of the errors of a validation failure.
func (a answer) locations() (locations []string) {
	list, _ := a.json["errors"].([]any)
	for _, e := range list {
		entry, _ := e.(map[string]any)
		location, _ := entry["location"].(string)
		locations = append(locations, location)
	}
	return locations
}

var errDown = apperr.DependencyUnavailable(fmt.Errorf("dial 10.0.0.7: refused"))
