package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// roleOf names the role that owns a database.
func roleOf(database string) string { return database + "_owner" }

// createDatabases makes the databases that are missing, each with a role of its own as the owner and closed to the others, so that
// a service can read no other's data even by mistake.
func createDatabases(ctx context.Context, superuserURL string, s secrets) error {
	conn, err := pgx.Connect(ctx, superuserURL)
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && refused.Code == "28P01" { // invalid_password
		return errors.New("PostgreSQL refuses the password in secrets.json, which is not the one that its data was made with: start anew with --reset")
	}
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, name := range databases {
		if err := createDatabase(ctx, conn, name, s.Databases[name]); err != nil {
			return fmt.Errorf("create the database %s: %w", name, err)
		}
	}
	return nil
}

// createDatabase makes one. Names are constants and the password is letters and digits: neither needs more than quotes, and
// these statements take no parameters.
func createDatabase(ctx context.Context, conn *pgx.Conn, name, password string) error {
	role := roleOf(name)
	var hasRole, hasDatabase bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (SELECT FROM pg_database WHERE datname = $2)`,
		role, name).Scan(&hasRole, &hasDatabase)
	if err != nil {
		return err
	}
	var statements []string
	if !hasRole {
		statements = append(statements, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD '%s'`, role, password))
	}
	if !hasDatabase {
		statements = append(statements, fmt.Sprintf(`CREATE DATABASE %s OWNER %s`, name, role))
	}
	// Always, as a start may have been interrupted before it.
	statements = append(statements, fmt.Sprintf(`REVOKE ALL ON DATABASE %s FROM PUBLIC`, name))
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
