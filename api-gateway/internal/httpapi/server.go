// Package httpapi is the REST contract: it translates between HTTP and the services' gRPC, and guards the door. It decides
// nothing about the shop itself.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"shop.example/api-gateway/internal/authz"
	"shop.example/api-gateway/internal/clientip"
	"shop.example/api-gateway/internal/inflight"
	"shop.example/api-gateway/internal/ratelimit"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/health"
	cartv1 "shop.example/proto/cart/v1"
	orderv1 "shop.example/proto/order/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

// base is the path of the contract's first version.
const base = "/api/v1"

// What the middleware wants to know of an operation, in its Metadata.
const (
	metaTimeout     = "timeout"     // time.Duration, if it is not the usual one
	metaIdempotency = "idempotency" // idempotency, if the operation honours a key
	metaProof       = "proof"       // proof, if the body proves who is asking
)

type idempotency int

const (
	keyOptional idempotency = iota
	keyRequired
)

// proof is what a body proves with. The addresses of such operations have no parameters.
type proof int

const (
	// proofPassword takes a password, of which user-service makes a hash.
	proofPassword proof = iota + 1
	// proofToken takes a refresh token.
	proofToken
)

// Services are the connections to the services behind the gateway.
type Services struct {
	Users, Products, Carts, Orders grpc.ClientConnInterface
}

// services are their clients.
type services struct {
	Auth      userv1.AuthServiceClient
	Users     userv1.UserServiceClient
	Addresses userv1.AddressServiceClient
	Catalog   productv1.CatalogServiceClient
	Stock     productv1.StockServiceClient
	Carts     cartv1.CartServiceClient
	Orders    orderv1.OrderServiceClient
	Coupons   orderv1.CouponServiceClient
	Webhooks  orderv1.WebhookServiceClient
	Audit     orderv1.AuditServiceClient
}

// clientsOf returns the clients of the services. reads is told of every call that may have changed what it has kept.
func clientsOf(o Services, reads *readCache) services {
	products, orders := noting{o.Products, reads.outdate}, noting{o.Orders, reads.outdate} // who orders changes what is available
	return services{
		Auth: userv1.NewAuthServiceClient(o.Users), Users: userv1.NewUserServiceClient(o.Users),
		Addresses: userv1.NewAddressServiceClient(o.Users),
		Catalog:   productv1.NewCatalogServiceClient(products), Stock: productv1.NewStockServiceClient(products),
		Carts:  cartv1.NewCartServiceClient(o.Carts),
		Orders: orderv1.NewOrderServiceClient(orders), Coupons: orderv1.NewCouponServiceClient(orders),
		Webhooks: orderv1.NewWebhookServiceClient(orders), Audit: orderv1.NewAuditServiceClient(orders),
	}
}

// noting is a connection that says when a call may have changed something, before its answer is known to anybody. No method of the
// services streams; one that did would have to be noted, too.
type noting struct {
	grpc.ClientConnInterface
	changed func()
}

func (n noting) Invoke(ctx context.Context, method string, question, answer any, options ...grpc.CallOption) error {
	err := n.ClientConnInterface.Invoke(ctx, method, question, answer, options...)
	if !readsOnly(method) && !refused(err) {
		n.changed()
	}
	return err
}

// refused says whether a call failed such that it has changed nothing. Whoever sends what can't be done must not make the cache
// useless; a failure says nothing of what was done, and a conflict that somebody else has changed something.
func refused(err error) bool {
	switch apperr.KindOf(err) {
	case apperr.Malformed, apperr.Invalid, apperr.Unauthenticated, apperr.PermissionDenied, apperr.NotFound:
		return err != nil
	default:
		return false
	}
}

// readsOnly says whether the .proto of a method, "/product.v1.StockService/AdjustStock", marks it as one that changes nothing.
func readsOnly(method string) bool {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return false
	}
	options, _ := descriptor.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// Options are what a server needs.
type Options struct {
	Services Services
	// Verify returns whom an access token stands for.
	Verify func(ctx context.Context, token string) (auth.Principal, error)
	Health *health.Monitor
	// Limiter may be nil: then nobody is limited.
	Limiter *ratelimit.Limiter
	Clients clientip.Resolver
	CORS    CORS
	// MaxInFlight is how many requests are worked on at once; more are refused.
	MaxInFlight int
	Log         *slog.Logger
}

// Server answers the public port.
type Server struct {
	services services
	verify   func(ctx context.Context, token string) (auth.Principal, error)
	health   *health.Monitor
	limiter  *ratelimit.Limiter
	clients  clientip.Resolver
	cors     CORS
	log      *slog.Logger
	reads    *readCache

	// The gates: see admit.go.
	guard                             *ratelimit.Limiter
	flight                            *inflight.Gate
	largeByClient                     shares
	slots, hashing                    chan struct{}
	bodies, imports                   chan struct{}
	tokenless, credentials, passwords map[string]bool // by operationKey

	api        huma.API
	router     chi.Router
	handler    http.Handler
	operations []string
}

// huma is configured by package variables. They are set once, before anything can use them.
func init() {
	// {"Email": …} is not {"email": …}: unknown fields are refused, not guessed at.
	huma.ValidateStrictCasing = true
	// Lists are empty, never null.
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return problemOfHuma(status, message, errs)
	}
	huma.NewErrorWithContext = humaProblem
	// These messages have the parser's error in them, which repeats the input.
	validation.MsgExpectedRFC5322Email = "expected an e-mail address"
	validation.MsgExpectedRFC3986URI = "expected a URL"
	validation.MsgExpectedRFC4122UUID = "expected a UUID"
	// And this one tells nobody what a schema is. There is one field with a choice: a Sum.
	validation.MsgExpectedMatchExactlyOneSchema = "expected minor units, at least 1, or money"
	huma.ErrorFormatter = func(format string, arguments ...any) string {
		if !strings.Contains(format, "%") {
			return format
		}
		return fmt.Sprintf(format, arguments...)
	}
}

// New returns a server, or an error if an operation has no entry in the authorization table or an entry no operation.
func New(o Options) (*Server, error) {
	s := &Server{
		verify: o.Verify, health: o.Health, limiter: o.Limiter, clients: o.Clients,
		cors: o.CORS, log: o.Log, router: chi.NewRouter(),
		slots:   make(chan struct{}, o.MaxInFlight),
		hashing: make(chan struct{}, passwordsInFlight), bodies: make(chan struct{}, maxLargeBodies), imports: make(chan struct{}, maxImports),
		guard:     ratelimit.New(nil, o.Log, time.Now),
		tokenless: make(map[string]bool), credentials: make(map[string]bool), passwords: make(map[string]bool),
	}
	var err error
	if s.reads, err = newReadCache(time.Now); err != nil {
		return nil, err
	}
	s.services = clientsOf(o.Services, s.reads)
	limits := inflight.Limits{All: openPerSlot * o.MaxInFlight, Bytes: waitingBytes}
	if o.Limiter != nil {
		limits.PerClient = max(minClientShare, o.MaxInFlight/clientShare)
	}
	s.flight = inflight.New(limits)
	s.router.Use(
		// A name of our own: the default is the Host that the client sends, which would make a series for each that it invents.
		otelhttp.NewMiddleware("http", otelhttp.WithSpanNameFormatter(spanName), otelhttp.WithServerName("api-gateway")),
		s.record,
		recoverPanics,
		s.allowOrigins,
		s.admit,
		s.readBody,
		s.work,
		s.authenticate,
		s.limit,
		s.answerPreflights,
		refuseGarbage,
		chimiddleware.GetHead,
	)
	s.router.NotFound(nothingHere)
	s.router.MethodNotAllowed(s.methodNotAllowed)

	s.api = humachi.New(s.router, huma.Config{
		OpenAPI:       document(),
		Formats:       formats,
		DefaultFormat: "application/json",
	})
	s.api.UseMiddleware(s.authorize, bound, s.checkQuery, s.checkIdempotencyKey, s.refuseBody, s.checkContentType)
	s.registerIdentity()
	s.registerAccount()
	s.registerSessions()
	s.registerAddresses()
	s.registerUsers()
	s.registerCatalogue()
	s.registerProductChanges()
	s.registerImport()
	s.registerStock()
	s.registerCart()
	s.registerOrders()
	s.registerCoupons()
	s.registerWebhooks()
	s.registerAudit()
	s.registerPayments()
	s.registerOperations()
	if err := authz.Complete(authz.Table, s.operations); err != nil {
		return nil, err
	}
	s.serveDocument()
	compressed, err := compress(s.router)
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	s.handler = s.identify(s.hold(compressed))
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// register adds an operation with its entry in the authorization table. codes are those of its problems that are not had by
// every operation of its kind.
func register[I, O any](s *Server, op huma.Operation, handler func(context.Context, *I) (*O, error), codes ...string) {
	s.operations = append(s.operations, op.OperationID)
	authz.Table[op.OperationID].Document(&op)
	op.MaxBodyBytes = -1 // readBody does it, for all
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	if op.Metadata == nil {
		op.Metadata = make(map[string]any)
	}
	op.Metadata[metaCodes] = codes
	key := op.Method + " " + op.Path
	proof, _ := op.Metadata[metaProof].(proof)
	s.tokenless[key] = authz.Table[op.OperationID].Tokenless()
	s.credentials[key], s.passwords[key] = proof != 0, proof == proofPassword
	huma.Register(s.api, op, handler)
}

func spanName(_ string, r *http.Request) string {
	if r.Pattern == "" {
		return r.Method // the path would make a name of its own for every id
	}
	return r.Method + " " + r.Pattern
}

func nothingHere(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, r, newProblem(http.StatusNotFound, "not_found", "There is nothing at this address."))
}

// methodNotAllowed answers 405 with what is allowed, as RFC 9110 demands.
func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if s.router.Match(chi.NewRouteContext(), method, path) {
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	if len(allowed) == 0 { // chi asks here for methods that it doesn't know, at whatever address
		nothingHere(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	writeProblem(w, r, newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "This address does not take "+shorten(r.Method)+"."))
}

// OpenAPI returns the document, indented.
func (s *Server) OpenAPI() ([]byte, error) {
	raw, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	return append(raw, '\n'), err
}

// Description returns the document of a gateway that serves nobody, for tools.
func Description() ([]byte, error) {
	s, err := New(Options{Verify: func(context.Context, string) (auth.Principal, error) {
		return auth.Principal{}, errors.New("not a running gateway")
	}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return s.OpenAPI()
}
