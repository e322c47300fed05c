package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"shop.example/platform/config"
	"shop.example/platform/logging"
	"shop.example/platform/postgres"

	"shop.example/user-service/internal/password"
	postgresrepo "shop.example/user-service/internal/repository/postgres"
	"shop.example/user-service/internal/usecase"
)

type bootstrapSettings struct {
	LogLevel      slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	DatabaseURL   string     `env:"DATABASE_URL,required,notEmpty,unset"`
	AdminEmail    string     `env:"ADMIN_EMAIL,required,notEmpty"`
	AdminPassword string     `env:"ADMIN_PASSWORD,required,notEmpty,unset"`
}

// bootstrapAdmin makes the first admin, who makes all others by the API. An admin who exists stays untouched, so it may run
// at every start.
func bootstrapAdmin(ctx context.Context, out io.Writer) error {
	cfg, err := config.Load[bootstrapSettings]()
	if err != nil {
		return err
	}
	log := logging.New(out, service, cfg.LogLevel)
	slog.SetDefault(log)
	if err := postgresrepo.Migrate(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	hasher := password.NewHasher(password.Current)
	created, err := usecase.BootstrapAdmin(ctx, postgresrepo.New(pool), hasher, cfg.AdminEmail, cfg.AdminPassword, time.Now)
	if err != nil {
		return err
	}
	if created {
		log.InfoContext(ctx, "admin created")
	} else {
		log.InfoContext(ctx, "the admin exists already and was left as it is")
	}
	return nil
}
