package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/product-service/internal/domain"
)

// CreateCategory implements usecase.CategoryStore.
func (s *Store) CreateCategory(ctx context.Context, c domain.Category) (err error) {
	defer translate(&err)
	_, err = s.pool.Exec(ctx, `INSERT INTO categories (id, slug, name, description, parent_id, version) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.ID, c.Slug, c.Name, c.Description, uuid.NullUUID{UUID: c.ParentID, Valid: c.ParentID != uuid.Nil}, c.Version)
	return err
}

// Categories implements usecase.CategoryReader. A product in several categories below one counts once there.
func (s *Store) Categories(ctx context.Context) (_ []domain.Category, err error) {
	defer translate(&err)
	rows, err := s.pool.Query(ctx, `WITH RECURSIVE below(root, id) AS (
			SELECT id, id FROM categories UNION SELECT b.root, c.id FROM below b JOIN categories c ON c.parent_id = b.id),
		counts AS (
			SELECT b.root, count(DISTINCT p.id) AS products
			FROM below b JOIN product_categories pc ON pc.category_id = b.id JOIN products p ON p.id = pc.product_id AND p.status = 'active'
			GROUP BY b.root)
		SELECT c.id, c.slug, c.name, c.description, c.parent_id, c.version, coalesce(n.products, 0)
		FROM categories c LEFT JOIN counts n ON n.root = c.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c domain.Category, err error) {
		var parent uuid.NullUUID
		err = row.Scan(&c.ID, &c.Slug, &c.Name, &c.Description, &parent, &c.Version, &c.ProductCount)
		c.ParentID = parent.UUID
		return c, err
	})
}
