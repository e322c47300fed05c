// Command api-gateway is the shop's front door: the REST contract, authentication, limits and the translation of errors.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"shop.example/api-gateway/internal/certfile"
	"shop.example/api-gateway/internal/clientip"
	"shop.example/api-gateway/internal/connlimit"
	"shop.example/api-gateway/internal/httpapi"
	"shop.example/api-gateway/internal/ratelimit"
	"shop.example/platform/admin"
	"shop.example/platform/config"
	"shop.example/platform/grpcclient"
	"shop.example/platform/health"
	"shop.example/platform/lifecycle"
	"shop.example/platform/logging"
	"shop.example/platform/mtls"
	"shop.example/platform/telemetry"
	"shop.example/platform/token"
)

const (
	service = "api-gateway"
	// tokenLeeway is how much the clocks of two machines may differ.
	tokenLeeway = 5 * time.Second
	// callTimeout bounds a call that has no deadline of its own; every operation's is at most this.
	callTimeout = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, service+":", err)
		os.Exit(1)
	}
}

type settings struct {
	HTTPAddr        string        `env:"HTTP_ADDR" envDefault:":8080"`
	AdminAddr       string        `env:"ADMIN_ADDR" envDefault:":9090"`
	LogLevel        slog.Level    `env:"LOG_LEVEL" envDefault:"info"`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"20s"`
	// DrainDelay is the time between unready and the end of listening, for load balancers to notice.
	DrainDelay     time.Duration `env:"DRAIN_DELAY" envDefault:"1s"`
	PPROF          bool          `env:"PPROF" envDefault:"false"`
	UserService    string        `env:"USER_SERVICE_ADDR,required,notEmpty"`
	ProductService string        `env:"PRODUCT_SERVICE_ADDR,required,notEmpty"`
	CartService    string        `env:"CART_SERVICE_ADDR,required,notEmpty"`
	OrderService   string        `env:"ORDER_SERVICE_ADDR,required,notEmpty"`
	RedisURL       string        `env:"REDIS_URL,unset"`
	RateLimit      string        `env:"RATE_LIMIT" envDefault:"on"`
	MaxInFlight    int           `env:"MAX_IN_FLIGHT" envDefault:"512"`
	// MaxConnections bounds the memory that connections take: about 20 kB for one that is idle, so 40 MB at worst, and it is
	// four times what can be worked on at once.
	MaxConnections int `env:"MAX_CONNECTIONS" envDefault:"2048"`
	// MaxConnectionsPerClient is an eighth of them, and enough for forty browsers behind one address. What one client may ask
	// on its connections is bounded beside that: see httpapi/admit.go.
	MaxConnectionsPerClient int               `env:"MAX_CONNECTIONS_PER_CLIENT" envDefault:"250"`
	TrustedProxies          clientip.Networks `env:"TRUSTED_PROXIES"`
	CORSOrigins             []string          `env:"CORS_ALLOWED_ORIGINS"`
	CORSCredentials         bool              `env:"CORS_ALLOW_CREDENTIALS" envDefault:"false"`
	PublicTLS               certfile.Files
	TLS                     mtls.Files

	cors httpapi.CORS // what Validate makes of the two above
}

// Validate is called by config.Load.
func (s *settings) Validate() error {
	var faults []error
	if s.RateLimit != "on" && s.RateLimit != "off" {
		faults = append(faults, fmt.Errorf("RATE_LIMIT must be on or off, not %q", s.RateLimit))
	}
	if s.MaxInFlight < 1 {
		faults = append(faults, errors.New("MAX_IN_FLIGHT must be at least 1"))
	}
	if s.MaxConnections < 1 {
		faults = append(faults, errors.New("MAX_CONNECTIONS must be at least 1"))
	}
	if s.MaxConnectionsPerClient < 0 {
		faults = append(faults, errors.New("MAX_CONNECTIONS_PER_CLIENT must be 0, for no such limit, or more"))
	}
	var err error
	if s.cors, err = httpapi.ParseCORS(s.CORSOrigins, s.CORSCredentials); err != nil {
		faults = append(faults, fmt.Errorf("CORS_ALLOWED_ORIGINS: %w", err))
	}
	if err := s.PublicTLS.Validate(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 0:
		return serve(ctx, out)
	case len(args) == 1 && args[0] == "healthcheck":
		return admin.Probe(ctx, os.Getenv("ADMIN_ADDR"))
	case len(args) == 1 && args[0] == "openapi":
		document, err := httpapi.Description()
		if err != nil {
			return err
		}
		_, err = out.Write(document)
		return err
	default:
		return fmt.Errorf("usage: %s [healthcheck | openapi]", service)
	}
}

func serve(ctx context.Context, out io.Writer) error {
	cfg, err := config.Load[settings]()
	if err != nil {
		return err
	}
	log := logging.New(out, service, cfg.LogLevel)
	slog.SetDefault(log)
	tel, err := telemetry.Setup(ctx, service)
	if err != nil {
		return err
	}
	identity, err := mtls.Load(cfg.TLS)
	if err != nil {
		return err
	}

	var checks []health.Check
	dial := func(name, target string) (*grpcclient.Conn, error) {
		conn, err := grpcclient.Dial(grpcclient.Options{Service: name, Target: target, TLS: identity, Log: log, Timeout: callTimeout})
		if err == nil {
			// Optional: without one service the gateway still serves what the others do.
			checks = append(checks, health.Check{Name: name, Probe: conn.Ping, Optional: true})
		}
		return conn, err
	}
	users, err := dial("user-service", cfg.UserService)
	if err != nil {
		return err
	}
	defer users.Close()
	products, err := dial("product-service", cfg.ProductService)
	if err != nil {
		return err
	}
	defer products.Close()
	carts, err := dial("cart-service", cfg.CartService)
	if err != nil {
		return err
	}
	defer carts.Close()
	orders, err := dial("order-service", cfg.OrderService)
	if err != nil {
		return err
	}
	defer orders.Close()

	limits, check, err := openLimits(cfg, log)
	if err != nil {
		return err
	}
	checks = append(checks, check...)

	revocations := token.NewRevocations(grpcclient.EndedSessions(users), log, time.Now)
	checks = append(checks, health.Check{Name: "revocations", Probe: revocations.Probe, Optional: true})
	monitor := health.NewMonitor(log, checks...)
	clients := clientip.NewResolver(cfg.TrustedProxies)
	api, err := httpapi.New(httpapi.Options{
		Services: httpapi.Services{Users: users, Products: products, Carts: carts, Orders: orders},
		Verify:   revocations.Guard(token.NewVerifier(grpcclient.SigningKeys(users), tokenLeeway, time.Now).Verify),
		Health:   monitor, Limiter: limits, Clients: clients, CORS: cfg.cors, MaxInFlight: cfg.MaxInFlight, Log: log,
	})
	if err != nil {
		return err
	}
	server := api.HTTPServer()
	if cfg.PublicTLS.Given() {
		certificate, err := certfile.Load(cfg.PublicTLS, log, time.Now)
		if err != nil {
			return err
		}
		server.TLSConfig = certificate.Config()
	}
	adminServer := admin.New(cfg.AdminAddr, monitor, tel.MetricsHandler(), cfg.PPROF, log)
	return lifecycle.Run(ctx, log, cfg.ShutdownTimeout,
		tel.Component(), revocations.Component(), monitor.Component(), adminServer.Component(), public(cfg, server, clients, monitor))
}

// openLimits returns the rate limits, nil if they are off, with the check of the Redis that they are shared by.
func openLimits(cfg settings, log *slog.Logger) (*ratelimit.Limiter, []health.Check, error) {
	if cfg.RateLimit == "off" {
		return nil, nil, nil
	}
	if cfg.RedisURL == "" {
		return ratelimit.New(nil, log, time.Now), nil, nil
	}
	client, err := ratelimit.OpenRedis(cfg.RedisURL)
	if err != nil {
		return nil, nil, err
	}
	ping := func(ctx context.Context) error { return client.Ping(ctx).Err() }
	return ratelimit.New(client, log, time.Now), []health.Check{{Name: "redis", Probe: ping, Optional: true}}, nil
}

// public is the server of the public port. It stops in three steps: readiness falls, load balancers get time to notice, and
// then what is in flight is finished.
func public(cfg settings, server *http.Server, clients clientip.Resolver, monitor *health.Monitor) lifecycle.Component {
	var listener *connlimit.Listener
	return lifecycle.Component{
		Name: "http server",
		Start: func(ctx context.Context) error {
			tcp, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.HTTPAddr)
			if err != nil {
				return fmt.Errorf("listen on HTTP_ADDR %s: %w", cfg.HTTPAddr, err)
			}
			limits := connlimit.Limits{All: cfg.MaxConnections, PerClient: cfg.MaxConnectionsPerClient, Exempt: clients.Trusts}
			if cfg.RateLimit == "off" {
				limits.PerClient = 0 // a load test is one client with many connections
			}
			if listener, err = connlimit.New(tcp, limits); err != nil {
				return errors.Join(fmt.Errorf("limit connections: %w", err), tcp.Close())
			}
			server.ConnState = listener.ConnState
			return nil
		},
		Serve: func() error {
			serve := server.Serve
			if server.TLSConfig != nil {
				serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
			}
			if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		Stop: func(ctx context.Context) error {
			monitor.Drain()
			select {
			case <-time.After(cfg.DrainDelay):
			case <-ctx.Done():
			}
			if err := server.Shutdown(ctx); err != nil {
				return errors.Join(err, server.Close())
			}
			return nil
		},
	}
}
