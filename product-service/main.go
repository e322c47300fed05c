// Command product-service keeps the catalogue, the prices and the stock of the shop.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"shop.example/platform/admin"
	"shop.example/platform/config"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/lifecycle"
	"shop.example/platform/logging"
	"shop.example/platform/money"
	"shop.example/platform/mtls"
	"shop.example/platform/postgres"
	"shop.example/platform/telemetry"
	"shop.example/platform/token"
	"shop.example/product-service/internal/delivery/rpc"
	"shop.example/product-service/internal/delivery/sweep"
	"shop.example/product-service/internal/demo"
	postgresrepo "shop.example/product-service/internal/repository/postgres"
	"shop.example/product-service/internal/usecase"
)

const service = "product-service"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		logging.New(os.Stdout, service, slog.LevelInfo).Error("product-service failed", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch strings.Join(args, " ") {
	case "":
		return serve(ctx, out)
	case "seed-demo":
		return seedDemo(ctx, out)
	case "healthcheck":
		return admin.Probe(ctx, os.Getenv("ADMIN_ADDR"))
	default:
		return errors.New("usage: product-service [seed-demo | healthcheck]")
	}
}

// Data is the part of the settings that the database and the catalogue need. It is exported, as is all that is read from
// the environment: reflection reaches nothing else.
type Data struct {
	// unset keeps the password out of the environment of the process.
	DatabaseURL string `env:"DATABASE_URL,required,notEmpty,unset"`
	Currency    string `env:"CURRENCY" envDefault:"EUR"`
}

// Validate is called by config.Load.
func (d *Data) Validate() error {
	if _, err := money.New(0, d.Currency); err != nil {
		return fmt.Errorf("CURRENCY: %w", err)
	}
	return nil
}

type settings struct {
	config.Service
	Data
	UserService string `env:"USER_SERVICE_ADDR,required,notEmpty"`
}

// useCases are what the service does, on one store.
type useCases struct {
	catalog *usecase.Catalog
	queries *usecase.Queries
	stock   *usecase.Stock
}

func newUseCases(store *postgresrepo.Store, currency string) useCases {
	return useCases{
		catalog: usecase.NewCatalog(store, store, currency, time.Now),
		queries: usecase.NewQueries(store, store, store, time.Now),
		stock:   usecase.NewStock(store, store, store, time.Now),
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
	tls, err := mtls.Load(cfg.TLS)
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
	users, err := grpcclient.Dial(grpcclient.Options{Service: grpcserver.UserService, Target: cfg.UserService, TLS: tls, Log: log})
	if err != nil {
		return err
	}
	defer users.Close()

	does := newUseCases(postgresrepo.New(pool), cfg.Currency)
	revocations := token.NewRevocations(grpcclient.EndedSessions(users), log, time.Now)
	monitor := health.NewMonitor(log,
		health.Check{Name: "postgres", Probe: pool.Ping},
		health.Check{Name: grpcserver.UserService, Probe: users.Ping, Optional: true}, // for new signing keys only
		health.Check{Name: "revocations", Probe: revocations.Probe, Optional: true},
	)
	server, err := grpcserver.New(grpcserver.Options{
		Service: service, Addr: cfg.GRPCAddr, TLS: tls, Log: log, Health: monitor,
		Tokens: revocations.Guard(token.NewVerifier(grpcclient.SigningKeys(users), grpcserver.TokenLeeway, time.Now).Verify),
		Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) { rpc.Register(r, does.catalog, does.queries, does.stock) })
	if err != nil {
		return err
	}
	adminServer := admin.New(cfg.AdminAddr, monitor, tel.MetricsHandler(), cfg.PPROF, log)
	// Ready last and unready first: the monitor begins when all that serves is there, and its stop comes before the drain.
	return lifecycle.Run(ctx, log, cfg.ShutdownTimeout,
		tel.Component(), adminServer.Component(), revocations.Component(),
		sweep.Component("overdue reservations", does.stock.ExpireOverdue, log, sweep.Interval),
		sweep.Component("old reservations", does.stock.ForgetOld, log, sweep.HousekeepingInterval),
		server.Component(), monitor.Component())
}

// seedDemo migrates and loads the demo catalogue.
func seedDemo(ctx context.Context, out io.Writer) error {
	cfg, err := config.Load[Data]()
	if err != nil {
		return err
	}
	log := logging.New(out, service, slog.LevelInfo)
	slog.SetDefault(log)
	begin := time.Now()
	if err := postgresrepo.Migrate(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	does := newUseCases(postgresrepo.New(pool), cfg.Currency)
	summary, err := demo.Seeder{Catalog: does.catalog, Queries: does.queries, Stock: does.stock, Currency: cfg.Currency}.Seed(ctx)
	if err != nil {
		return fmt.Errorf("seed demo: %w", err)
	}
	log.InfoContext(ctx, "demo catalogue is there", "categories", summary.Categories, "products", summary.Products,
		"created", summary.Created, "took", time.Since(begin).Round(time.Millisecond).String())
	return nil
}
