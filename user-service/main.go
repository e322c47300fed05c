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

// sweepEvery is how often old sessions are deleted: often enough that each time is short, and nothing waits for it.
const sweepEvery = time.Hour

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
	signer, err := loadSigner(cfg.SigningKeyFile)
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

	store := postgresrepo.New(pool)
	sessions := usecase.NewSessions(store, store, password.NewHasher(password.Current), signer, log, time.Now)
	users := usecase.NewUsers(store)
	housekeeping := usecase.NewHousekeeping(store, log, time.Now)

	// Its own tokens are verified like everybody's.
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) { return signer.KeySet() }, grpcserver.TokenLeeway, time.Now)
	revocations := token.NewRevocations(sessions.Ended, log, time.Now)
	monitor := health.NewMonitor(log, health.Check{Name: "postgres", Probe: pool.Ping})
	server, err := grpcserver.New(grpcserver.Options{
		Service: service, Addr: cfg.GRPCAddr, TLS: tls, Log: log, Health: monitor, Tokens: revocations.Guard(verifier.Verify), Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) { rpc.Register(r, sessions, users, signer) })
	if err != nil {
		return err
	}
	adminServer := admin.New(cfg.AdminAddr, monitor, tel.MetricsHandler(), cfg.PPROF, log)
	// Ready last and unready first: the monitor begins when all that serves is there, and its stop comes before the drain.
	return lifecycle.Run(ctx, log, cfg.ShutdownTimeout,
		tel.Component(), adminServer.Component(), revocations.Component(), sweeper(log, housekeeping.Sweep), server.Component(), monitor.Component())
}

// loadSigner reads the private key that signs access tokens.
func loadSigner(file string) (*token.Signer, error) {
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("SIGNING_KEY_FILE: %w", err)
	}
	signer, err := token.NewSigner(key, time.Now)
	if err != nil {
		return nil, fmt.Errorf("SIGNING_KEY_FILE: %w", err)
	}
	return signer, nil
}

// sweeper calls sweep now and then, until it is stopped. A sweep that fails is made up for by the next.
func sweeper(log *slog.Logger, sweep func(context.Context) error) lifecycle.Component {
	ctx, cancel := context.WithCancel(context.Background())
	return lifecycle.Component{
		Name: "housekeeping",
		Serve: func() error {
			ticker := time.NewTicker(sweepEvery)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-ticker.C:
				}
				if err := sweep(ctx); err != nil && ctx.Err() == nil {
					log.WarnContext(ctx, "housekeeping failed", "error", err)
				}
			}
		},
		Stop: func(context.Context) error { cancel(); return nil },
	}
}
