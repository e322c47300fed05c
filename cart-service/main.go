// Command cart-service keeps the carts of the shop's customers and guests.
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
	shopredis "shop.example/platform/redis"
	"shop.example/platform/telemetry"
	"shop.example/platform/token"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"

	"shop.example/cart-service/internal/carttoken"
	"shop.example/cart-service/internal/client"
	"shop.example/cart-service/internal/delivery/erasure"
	"shop.example/cart-service/internal/delivery/rpc"
	redisrepo "shop.example/cart-service/internal/repository/redis"
	"shop.example/cart-service/internal/usecase"
)

const (
	service = "cart-service"
	// patience is how long another service is waited for, both at once. They answer within 50 ms on a bad day; a cart without
	// one of them is to come within a second, and until the breaker has noticed, each waits for this long.
	patience = 800 * time.Millisecond
)

type settings struct {
	config.Service
	RedisURL       string `env:"REDIS_URL,required,notEmpty,unset"` // unset: it may hold a password
	UserService    string `env:"USER_SERVICE_ADDR,required,notEmpty"`
	ProductService string `env:"PRODUCT_SERVICE_ADDR,required,notEmpty"`
	CartTokenKeys  string `env:"CART_TOKEN_KEY_FILE,required,notEmpty"`
	Currency       string `env:"CURRENCY" envDefault:"EUR"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		logging.New(os.Stdout, service, slog.LevelInfo).Error("cart-service failed", "error", err)
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
		return errors.New("usage: cart-service [healthcheck]")
	}
}

func serve(ctx context.Context, out io.Writer) error {
	cfg, err := config.Load[settings]()
	if err != nil {
		return err
	}
	currency, err := money.New(0, cfg.Currency)
	if err != nil {
		return fmt.Errorf("CURRENCY: %w", err)
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
	guests, err := carttoken.Load(cfg.CartTokenKeys)
	if err != nil {
		return err
	}
	redis, err := shopredis.Open(ctx, cfg.RedisURL)
	if err != nil {
		return err
	}
	defer func() { _ = redis.Close() }() // at the end of the process nobody can act on it
	users, err := grpcclient.Dial(grpcclient.Options{Service: grpcserver.UserService, Target: cfg.UserService, TLS: tls, Log: log, Timeout: patience})
	if err != nil {
		return err
	}
	defer users.Close()
	products, err := grpcclient.Dial(grpcclient.Options{Service: grpcserver.ProductService, Target: cfg.ProductService, TLS: tls, Log: log, Timeout: patience})
	if err != nil {
		return err
	}
	defer products.Close()

	store, userClient := redisrepo.New(redis), userv1.NewUserServiceClient(users)
	carts := usecase.NewCarts(usecase.CartsPorts{
		Reader: store, Writer: store, Merger: store, Guests: guests,
		Products: client.NewProducts(productv1.NewCatalogServiceClient(products)),
		Users:    client.NewUsers(userClient, time.Now),
	}, currency, log, time.Now)
	purchases := usecase.NewPurchases(store, time.Now)
	erasures := usecase.NewErasures(client.NewDeletedUsers(userClient), store)

	revocations := token.NewRevocations(grpcclient.EndedSessions(users), log, time.Now)
	monitor := health.NewMonitor(log,
		health.Check{Name: "redis", Probe: func(ctx context.Context) error { return redis.Ping(ctx).Err() }},
		// Without these, carts are answered at the last known prices, and customers are trusted for as long as their token.
		health.Check{Name: grpcserver.ProductService, Probe: products.Ping, Optional: true},
		health.Check{Name: grpcserver.UserService, Probe: users.Ping, Optional: true},
		health.Check{Name: "revocations", Probe: revocations.Probe, Optional: true},
	)
	server, err := grpcserver.New(grpcserver.Options{
		Service: service, Addr: cfg.GRPCAddr, TLS: tls, Log: log, Health: monitor,
		Tokens: revocations.Guard(token.NewVerifier(grpcclient.SigningKeys(users), grpcserver.TokenLeeway, time.Now).Verify),
		Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) { rpc.Register(r, carts, purchases) })
	if err != nil {
		return err
	}
	adminServer := admin.New(cfg.AdminAddr, monitor, tel.MetricsHandler(), cfg.PPROF, log)
	// Ready last and unready first: the monitor begins when all that serves is there, and its stop comes before the drain.
	return lifecycle.Run(ctx, log, cfg.ShutdownTimeout,
		tel.Component(), adminServer.Component(), revocations.Component(), erasure.Component(erasures, log, erasure.Interval), server.Component(), monitor.Component())
}
