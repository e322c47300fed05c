package shop

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// State is everything that the databases hold: the rows, as text, by database and table. What the job queue and the
// auditor do by themselves is none of it.
type State map[string][]string

// State reads all tables of all databases.
func (s *Shop) State(t testing.TB) State {
	t.Helper()
	state := State{}
	for name, pool := range map[string]*pgxpool.Pool{"users": s.users, "orders": s.orders, "products": s.products} {
		if err := readState(t.Context(), pool, name, state); err != nil {
			t.Fatalf("read the database %s: %v", name, err)
		}
	}
	return state
}

func readState(ctx context.Context, pool *pgxpool.Pool, database string, into State) error {
	tables, err := texts(ctx, pool, `SELECT quote_ident(table_name) FROM information_schema.tables
		WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'river%' AND table_name <> 'audit_progress'`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		rows, err := texts(ctx, pool, `SELECT t::text FROM `+table+` t ORDER BY 1`)
		if err != nil {
			return err
		}
		into[database+"."+table] = rows
	}
	return nil
}

func texts(ctx context.Context, pool *pgxpool.Pool, query string) ([]string, error) {
	rows, err := pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Changes says what is not the same in another state, a line for each row that is new and each that is gone. The rows themselves
// may hold secrets: only their beginnings, which are ids, are shown.
func (s State) Changes(after State) []string {
	var changes []string
	for _, table := range slices.Sorted(maps.Keys(after)) {
		for sign, rows := range map[string][2][]string{"-": {s[table], after[table]}, "+": {after[table], s[table]}} {
			for _, row := range rows[0] {
				if !slices.Contains(rows[1], row) {
					id, _, _ := strings.Cut(row, ",")
					changes = append(changes, fmt.Sprintf("%s %s %s", sign, table, id))
				}
			}
		}
	}
	return changes
}
