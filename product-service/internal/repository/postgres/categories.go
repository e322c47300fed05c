package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/platform/postgres"
	"shop.example/product-service/internal/domain"
)

// CreateCategory implements usecase.CategoryStore.
func (s *Store) CreateCategory(ctx context.Context, c domain.Category) (err error) {
	defer translate(&err)
	_, err = s.pool.Exec(ctx, `INSERT INTO categories (id, slug, name, description, parent_id, version) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.ID, c.Slug, c.Name, c.Description, uuid.NullUUID{UUID: c.ParentID, Valid: c.ParentID != uuid.Nil}, c.Version)
	return err
}

// lockTree keeps others from changing categories until the end of the transaction, and lets them be read and products be put
// in them. Changes are rare; to find a circle, one must know that no other move can close it.
const lockTree = `LOCK TABLE categories IN SHARE ROW EXCLUSIVE MODE`

// UpdateCategory implements usecase.CategoryStore.
func (s *Store) UpdateCategory(ctx context.Context, id uuid.UUID, change func(domain.Category, map[uuid.UUID]uuid.UUID) (domain.Category, error)) (err error) {
	defer translate(&err)
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		before, err := categoryOfLockedTree(ctx, tx, id)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, parent_id FROM categories`)
		if err != nil {
			return fmt.Errorf("read the tree: %w", err)
		}
		var (
			parents = make(map[uuid.UUID]uuid.UUID)
			child   uuid.UUID
			parent  uuid.NullUUID
		)
		if _, err := pgx.ForEachRow(rows, []any{&child, &parent}, func() error { parents[child] = parent.UUID; return nil }); err != nil {
			return fmt.Errorf("read the tree: %w", err)
		}
		after, err := change(before, parents)
		if err != nil || after == before {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE categories SET slug = $2, name = $3, description = $4, parent_id = $5, version = $6 WHERE id = $1`,
			id, after.Slug, after.Name, after.Description, uuid.NullUUID{UUID: after.ParentID, Valid: after.ParentID != uuid.Nil}, after.Version)
		return err
	})
}

// DeleteCategory implements usecase.CategoryStore. The foreign keys of what is in the category speak for it.
func (s *Store) DeleteCategory(ctx context.Context, id uuid.UUID, check func(domain.Category) error) error {
	err := postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		c, err := categoryOfLockedTree(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := check(c); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM categories WHERE id = $1`, id)
		return err
	})
	switch name, _ := postgres.ViolatedConstraint(err); name {
	case "categories_parent_fkey", "product_categories_category_fkey":
		return domain.ErrCategoryInUse.Wrap(err)
	default:
		return err
	}
}

// categoryOfLockedTree locks the tree and returns a category, without its product count.
func categoryOfLockedTree(ctx context.Context, tx pgx.Tx, id uuid.UUID) (domain.Category, error) {
	if _, err := tx.Exec(ctx, lockTree); err != nil {
		return domain.Category{}, fmt.Errorf("lock the tree: %w", err)
	}
	c, parent := domain.Category{ID: id}, uuid.NullUUID{}
	err := tx.QueryRow(ctx, `SELECT slug, name, description, parent_id, version FROM categories WHERE id = $1`, id).
		Scan(&c.Slug, &c.Name, &c.Description, &parent, &c.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.Category{}, domain.ErrCategoryMissing
	}
	c.ParentID = parent.UUID
	return c, err
}

// Categories implements usecase.CategoryReader.
func (s *Store) Categories(ctx context.Context) (all []domain.Category, err error) {
	defer translate(&err)
	var (
		batch pgx.Batch
		sets  []domain.CategorySet
	)
	batch.Queue(`SELECT id, slug, name, description, parent_id, version FROM categories`).Query(func(rows pgx.Rows) (err error) {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c domain.Category, err error) {
			var parent uuid.NullUUID
			err = row.Scan(&c.ID, &c.Slug, &c.Name, &c.Description, &parent, &c.Version)
			c.ParentID = parent.UUID
			return c, err
		})
		return err
	})
	batch.Queue(`SELECT category_ids, products FROM category_sets WHERE products > 0`).Query(func(rows pgx.Rows) (err error) {
		sets, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (set domain.CategorySet, err error) {
			err = row.Scan(&set.CategoryIDs, &set.Products)
			return set, err
		})
		return err
	})
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, err
	}
	domain.CountProducts(all, sets)
	return all, nil
}
