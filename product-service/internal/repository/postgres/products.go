package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Product implements usecase.ProductReader.
func (s *Store) Product(ctx context.Context, ref domain.Ref) (_ usecase.ProductView, err error) {
	defer translate(&err)
	where, key := "p.slug = $1", any(ref.Slug)
	if ref.ID != uuid.Nil {
		where, key = "p.id = $1", ref.ID
	}
	rows, err := s.pool.Query(ctx, `SELECT `+productColumns+` FROM products p JOIN stock s ON s.product_id = p.id WHERE `+where, key)
	if err != nil {
		return usecase.ProductView{}, err
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProduct)
	if errors.Is(err, pgx.ErrNoRows) {
		return usecase.ProductView{}, domain.ErrProductMissing
	}
	return p, err
}

// Products implements usecase.ProductReader.
func (s *Store) Products(ctx context.Context, ids []uuid.UUID) (_ []usecase.ProductView, err error) {
	defer translate(&err)
	rows, err := s.pool.Query(ctx, `SELECT `+productColumns+` FROM products p JOIN stock s ON s.product_id = p.id WHERE p.id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanProduct)
}
