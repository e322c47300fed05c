package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

// plannedAnew makes the database plan a search for what is searched, not once for all: a part of a name that few have is found
// by the index of trigrams, one that many have by going through the newest users.
const plannedAnew = pgx.QueryExecModeCacheDescribe

// Users returns up to limit users who match, the newest first, from behind the one with the id after unless that is zero.
func (s *Store) Users(ctx context.Context, f usecase.UserFilter, after uuid.UUID, limit int) ([]*domain.User, error) {
	where, args := conditions(f)
	if after != uuid.Nil {
		args = append(args, after)
		where += fmt.Sprintf(" AND id < $%d", len(args)-1) // the first argument is the mode
	}
	args = append(args, limit)
	rows, err := s.pool.Query(ctx, fmt.Sprintf("%s %s ORDER BY id DESC LIMIT $%d", fromUsers, where, len(args)-1), args...)
	if err != nil {
		return nil, fmt.Errorf("search users: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[userRow])
	if err != nil {
		return nil, fmt.Errorf("search users: %w", err)
	}
	users := make([]*domain.User, len(found))
	for i, row := range found {
		users[i] = row.user()
	}
	return users, nil
}

// CountUsers returns how many match.
func (s *Store) CountUsers(ctx context.Context, f usecase.UserFilter) (int64, error) {
	where, args := conditions(f)
	var n int64
	if err := s.pool.QueryRow(ctx, "SELECT count(*) FROM users "+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return n, nil
}

// conditions is the WHERE of a search with its arguments, before which stands the mode.
func conditions(f usecase.UserFilter) (where string, args []any) {
	where, args = "WHERE true", []any{plannedAnew}
	and := func(condition string, arg any) {
		args = append(args, arg)
		where += " AND " + strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args)-1))
	}
	if f.Text != "" {
		and("(email ILIKE ? OR name ILIKE ?)", "%"+escapeLike.Replace(f.Text)+"%")
	}
	if f.Role != "" {
		and("role = ?", string(f.Role))
	}
	if f.Status != "" {
		and("status = ?", string(f.Status))
	}
	return where, args
}

// escapeLike makes a pattern find what was typed and not what it could mean.
var escapeLike = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
