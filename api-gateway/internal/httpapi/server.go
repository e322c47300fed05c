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

	"shop.example/api-gateway/internal/authz"
	"shop.example/api-gateway/internal/clientip"
	"shop.example/api-gateway/internal/ratelimit"
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
)

type idempotency int

const (
	keyOptional idempotency = iota
	keyRequired
)

// Services are the clients of the services behind the gateway.
type Services struct {
	Auth    userv1.AuthServiceClient
	Users   userv1.UserServiceClient
	Catalog productv1.CatalogServiceClient
	Stock   productv1.StockServiceClient
	Carts   cartv1.CartServiceClient
	Orders  orderv1.OrderServiceClient
}

// Options are what a server needs.
type Options struct {
	Services Services
	// Verify returns whom an access token stands for.
	Verify func(ctx context.Context, token string) (auth.Principal, error)
	Health *health.Monitor
	// Limiter may be nil: then nobody is limited, and the fields about limits are absent.
	Limiter *ratelimit.Limiter
	Clients clientip.Resolver
	// MaxInFlight is how many requests are worked on at once; more are refused.
	MaxInFlight int
	Log         *slog.Logger
}

// Server answers the public port.
type Server struct {
	services Services
	verify   func(ctx context.Context, token string) (auth.Principal, error)
	health   *health.Monitor
	limiter  *ratelimit.Limiter
	clients  clientip.Resolver
	slots    chan struct{}
	log      *slog.Logger

	api        huma.API
	router     chi.Router
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
		services: o.Services, verify: o.Verify, health: o.Health, limiter: o.Limiter, clients: o.Clients,
		slots: make(chan struct{}, o.MaxInFlight), log: o.Log, router: chi.NewRouter(),
	}
	s.router.Use(
		s.identify,
		// A name of our own: the default is the Host that the client sends, which would make a series for each that it invents.
		otelhttp.NewMiddleware("http", otelhttp.WithSpanNameFormatter(spanName), otelhttp.WithServerName("api-gateway")),
		s.record,
		recoverPanics,
		s.shed,
		s.authenticate,
		s.limit,
		refuseGarbage,
		limitBody,
		chimiddleware.GetHead,
	)
	s.router.NotFound(nothingHere)
	s.router.MethodNotAllowed(s.methodNotAllowed)

	s.api = humachi.New(s.router, huma.Config{
		OpenAPI:       document(),
		Formats:       formats,
		DefaultFormat: "application/json",
	})
	s.api.UseMiddleware(s.authorize, bound, s.checkQuery, s.checkIdempotencyKey, s.checkContentType)
	s.registerIdentity()
	s.registerCatalogue()
	s.registerStock()
	s.registerCart()
	s.registerOrders()
	s.registerOperations()
	if err := authz.Complete(authz.Table, s.operations); err != nil {
		return nil, err
	}
	if err := s.serveDocument(); err != nil {
		return nil, err
	}
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// document is what stands in the OpenAPI document beside the operations.
func document() *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "Shop",
			Version: "1",
			Description: "The REST contract of the shop. Money is in integer minor units, times are RFC 3339 in UTC, errors are RFC 9457 " +
				"problems with a stable `code`. `x-authorization` says who may use an operation: `anonymous`, `signed_in`, `owner` " +
				"(signed in, and only what is one's own), `staff` or `admin`.",
		},
		Tags: []*huma.Tag{{Name: "identity"}, {Name: "catalogue"}, {Name: "stock"}, {Name: "cart"}, {Name: "orders"}, {Name: "operations"}},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				authz.SecurityScheme: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access_token of /auth/login."},
			},
		},
	}
}

// register adds an operation with its entry in the authorization table. errorStatuses are those that a client of this
// operation should expect; any other has the same body.
func register[I, O any](s *Server, op huma.Operation, handler func(context.Context, *I) (*O, error), errorStatuses ...int) {
	s.operations = append(s.operations, op.OperationID)
	authz.Table[op.OperationID].Document(&op)
	op.MaxBodyBytes = -1 // limitBody does it, for all
	op.Errors = errorStatuses
	if len(op.Security) > 0 {
		op.Errors = append(op.Errors, http.StatusUnauthorized)
	}
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	schemas := s.api.OpenAPI().Components.Schemas
	op.Responses["default"] = &huma.Response{
		Description: "A problem.",
		Content:     map[string]*huma.MediaType{problemContentType: {Schema: huma.SchemaFromType(schemas, problemType)}},
	}
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

// Timeouts of the public server. Bodies that an operation reads have a shorter deadline of their own.
const (
	readHeaderTimeout = 5 * time.Second
	// idleTimeout is longer than the 60 s after which most load balancers drop an idle connection, so that it is not us who
	// close one that is just being used.
	idleTimeout = 75 * time.Second
	// readTimeout and writeTimeout cover the longest operation and a slow client.
	readTimeout    = 30 * time.Second
	writeTimeout   = 30 * time.Second
	maxHeaderBytes = 32 << 10
)

// HTTPServer returns the server for the public port.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}
