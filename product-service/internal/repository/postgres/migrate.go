package postgres

import (
	"context"
	"embed"

	"shop.example/platform/postgres"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the database at url to the newest version.
func Migrate(ctx context.Context, url string) error { return postgres.Migrate(ctx, url, migrations) }
