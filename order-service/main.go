// Command order-service keeps the orders of the shop, and sees to it that each is placed once and paid once.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/delivery/jobs"
	"shop.example/order-service/internal/delivery/rpc"
	postgresrepo "shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/admin"
	"shop.example/platform/config"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/lifecycle"
	"shop.example/platform/logging"
	"shop.example/platform/mtls"
	"shop.example/platform/postgres"
	"shop.example/platform/telemetry"
	"shop.example/platform/token"
)

const service = "order-service"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		logging.New(os.Stdout, service, slog.LevelInfo).Error("order-service failed", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch strings.Join(args, " ") {
	case "":
		return serve(ctx, out)
	case "healthcheck":
		return admin.Probe(ctx, os.Getenv("ADMIN_ADDR"))
	default:
		return errors.New("usage: order-service [healthcheck]")
	}
}

type settings struct {
	config.Service
	PaymentSettings
	WebhookSettings
	AuditSettings
	DatabaseURL    string `env:"DATABASE_URL,required,notEmpty,unset"` // unset: it holds a secret
	UserService    string `env:"USER_SERVICE_ADDR,required,notEmpty"`
	ProductService string `env:"PRODUCT_SERVICE_ADDR,required,notEmpty"`
	CartService    string `env:"CART_SERVICE_ADDR,required,notEmpty"`
	Currency       string `env:"CURRENCY" envDefault:"EUR"`
	Shipping       string `env:"SHIPPING_METHODS"` // JSON; see shipping.go
}

// Validate is called by config.Load.
func (s *settings) Validate() error {
	return errors.Join(s.PaymentSettings.Validate(), s.WebhookSettings.Validate(), s.AuditSettings.Validate())
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
	tls, err := mtls.Load(cfg.TLS)
	if err != nil {
		return err
	}
	shipping, err := shippingMethods(cfg.Shipping, cfg.Currency)
	if err != nil {
		return err
	}
	if err := postgresrepo.Migrate(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()

	var conns [3]*grpcclient.Conn
	for i, peer := range []struct{ service, target string }{
		{grpcserver.UserService, cfg.UserService}, {grpcserver.ProductService, cfg.ProductService}, {grpcserver.CartService, cfg.CartService},
	} {
		conn, err := grpcclient.Dial(grpcclient.Options{Service: peer.service, Target: peer.target, TLS: tls, Log: log})
		if err != nil {
			return err
		}
		defer conn.Close()
		conns[i] = conn
	}
	users, products, carts := conns[0], conns[1], conns[2]

	store, err := postgresrepo.New(pool)
	if err != nil {
		return err
	}
	payments, err := cfg.open(log)
	if err != nil {
		return err
	}
	countMissing, err := stockMissing()
	if err != nil {
		return err
	}
	stock := client.NewProducts(products)
	checkout := usecase.NewCheckout(withFailpoints(usecase.CheckoutParts{
		Attempts: store, Keys: store, Orders: store, Coupons: store, Users: client.NewUsers(users), Addresses: client.NewAddresses(users),
		Carts: client.NewCarts(carts), Catalog: stock, Stock: stock,
		Payments: payments.primary, OtherPayments: payments.others, Shipping: shipping, Now: now, Log: log,
		StockMissing: countMissing,
	}))
	webhooks, deliverer, err := cfg.webhooks(store, log)
	if err != nil {
		return err
	}
	auditor, err := cfg.auditor(store, stock, log)
	if err != nil {
		return err
	}
	workers, err := jobs.Component(pool, checkout, store, log, jobs.Webhooks(deliverer, store, log), jobs.Audit(auditor, cfg.AuditEvery))
	if err != nil {
		return err
	}

	revocations := token.NewRevocations(grpcclient.EndedSessions(users), log, time.Now)
	monitor := health.NewMonitor(log,
		health.Check{Name: "postgres", Probe: pool.Ping},
		health.Check{Name: grpcserver.ProductService, Probe: products.Ping, Optional: true},
		health.Check{Name: grpcserver.CartService, Probe: carts.Ping, Optional: true},
		health.Check{Name: grpcserver.UserService, Probe: users.Ping, Optional: true},
		health.Check{Name: "revocations", Probe: revocations.Probe, Optional: true},
	)
	server, err := grpcserver.New(grpcserver.Options{
		Service: service, Addr: cfg.GRPCAddr, TLS: tls, Log: log, Health: monitor, Policy: rpc.Policy,
		Tokens: revocations.Guard(token.NewVerifier(grpcclient.SigningKeys(users), grpcserver.TokenLeeway, time.Now).Verify),
	}, func(r grpc.ServiceRegistrar) {
		rpc.Register(r, checkout, usecase.NewQueries(store, shipping), usecase.NewCoupons(store, store, now), usecase.NewEvents(payments.readers, store))
		rpc.RegisterWebhooks(r, webhooks)
		rpc.RegisterAudit(r, usecase.NewFindings(auditor, store, stock, store, store))
	})
	if err != nil {
		return err
	}
	adminServer := admin.New(cfg.AdminAddr, monitor, tel.MetricsHandler(), cfg.PPROF, log)
	// Ready last and unready first: the monitor begins when all that serves is there, and its stop comes before the drain.
	return lifecycle.Run(ctx, log, cfg.ShutdownTimeout,
		tel.Component(), adminServer.Component(), revocations.Component(), workers, server.Component(), monitor.Component())
}

// now is the time as precisely as the database keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
