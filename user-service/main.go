// Command user-service keeps the people of the shop: accounts, passwords, sessions, and the keys that sign access tokens.
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
	"shop.example/platform/apperr"
	"shop.example/platform/config"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/lifecycle"
	"shop.example/platform/logging"
	"shop.example/platform/mtls"
	"shop.example/platform/postgres"
	"shop.example/platform/telemetry"
	"shop.example/platform/token"

	"shop.example/user-service/internal/delivery/rpc"
	"shop.example/user-service/internal/password"
	postgresrepo "shop.example/user-service/internal/repository/postgres"
	"shop.example/user-service/internal/usecase"
)

const service = "user-service"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		logging.New(os.Stdout, service, slog.LevelInfo).Error("user-service failed", "error", explain(err))
		os.Exit(1)
	}
}

// explain adds to an error which values are wrong, for the person who set them.
func explain(err error) string {
	text := err.Error()
	if e := (*apperr.Error)(nil); errors.As(err, &e) {
		for _, v := range e.Violations {
			text += " " + v.Location + ": " + v.Message + "."
		}
	}
	return text
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch strings.Join(args, " ") {
	case "":
		return serve(ctx, out)
	case "bootstrap-admin":
		return bootstrapAdmin(ctx, out)
	case "healthcheck":
		return admin.Probe(ctx, os.Getenv("ADMIN_ADDR"))
	default:
		return errors.New("usage: user-service [bootstrap-admin | healthcheck]")
	}
}

type settings struct {
	config.Service
	DatabaseURL    string `env:"DATABASE_URL,required,notEmpty,unset"` // unset: it holds a secret
	SigningKeyFile string `env:"SIGNING_KEY_FILE,required,notEmpty"`
	// SigningKeyAnnounce is how long a new key is published before it signs: a minute for verifiers, and half of one between
	// the replicas of this service.
	SigningKeyAnnounce time.Duration `env:"SIGNING_KEY_ANNOUNCE" envDefault:"90s"`
	// RateLimit off lifts the throttling of guesses at passwords: for tests of load.
	RateLimit string `env:"RATE_LIMIT" envDefault:"on"`
}

// Validate is called by config.Load.
func (s *settings) Validate() error {
	var faults []error
	if s.RateLimit != "on" && s.RateLimit != "off" {
		faults = append(faults, fmt.Errorf("RATE_LIMIT must be on or off, not %q", s.RateLimit))
	}
	if s.SigningKeyAnnounce < token.ShortestAnnouncement {
		faults = append(faults, fmt.Errorf("SIGNING_KEY_ANNOUNCE must be at least %v: verifiers read the keys that often", token.ShortestAnnouncement))
	}
	return errors.Join(faults...)
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
	keys, err := token.OpenKeyRing(cfg.SigningKeyFile, cfg.SigningKeyAnnounce, log, time.Now)
	if err != nil {
		return fmt.Errorf("SIGNING_KEY_FILE: %w", err)
	}
	if err := postgresrepo.Migrate(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()

	store := postgresrepo.New(pool)
	hasher := password.NewHasher(password.Current)
	throttle := usecase.NewThrottle(store, time.Now)
	if cfg.RateLimit == "off" {
		throttle = usecase.LiftedThrottle()
	}
	sessions := usecase.NewSessions(store, store, hasher, throttle, keys, log, time.Now)
	useCases := rpc.UseCases{
		Sessions:       sessions,
		Users:          usecase.NewUsers(store),
		Profiles:       usecase.NewProfiles(store, hasher, throttle, log, time.Now),
		Administration: usecase.NewAdministration(store, log, time.Now),
		Addresses:      usecase.NewAddresses(store),
		Deletions:      usecase.NewDeletions(store, time.Now),
	}
	housekeeping := usecase.NewHousekeeping(store, log, time.Now)

	// Its own tokens are verified like everybody's.
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) { return keys.KeySet() }, grpcserver.TokenLeeway, time.Now)
	revocations := token.NewRevocations(func(ctx context.Context, since time.Time) (token.AccessChanges, error) {
		changes, err := sessions.Changes(ctx, since)
		return token.AccessChanges(changes), err
	}, log, time.Now)
	monitor := health.NewMonitor(log,
		health.Check{Name: "postgres", Probe: pool.Ping}, health.Check{Name: "revocations", Probe: revocations.Probe, Optional: true})
	server, err := grpcserver.New(grpcserver.Options{
		Service: service, Addr: cfg.GRPCAddr, TLS: tls, Log: log, Health: monitor, Tokens: revocations.Guard(verifier.Verify), Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) { rpc.Register(r, useCases, keys) })
	if err != nil {
		return err
	}
	adminServer := admin.New(cfg.AdminAddr, monitor, tel.MetricsHandler(), cfg.PPROF, log)
	// Ready last and unready first: the monitor begins when all that serves is there, and its stop comes before the drain.
	return lifecycle.Run(ctx, log, cfg.ShutdownTimeout,
		tel.Component(), adminServer.Component(), revocations.Component(), sweeper(log, housekeeping.Sweep), server.Component(), monitor.Component())
}
