// Package demo fills a shop with a catalogue that it can be tried with.
package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

//go:embed catalogue.json
var catalogue []byte

// actor stands in the ledger for the deliveries of the demo.
const actor = "seed-demo"

type category struct {
	Name        string     `json:"name"`
	Slug        string     `json:"slug"`
	Description string     `json:"description"`
	Children    []category `json:"children"`
}

type product struct {
	SKU              string            `json:"sku"`
	Name             string            `json:"name"`
	ShortDescription string            `json:"short_description"`
	Description      string            `json:"description"`
	Price            int64             `json:"price"` // minor units of the shop's currency
	Categories       []string          `json:"categories"`
	Attributes       map[string]string `json:"attributes"`
	Stock            int64             `json:"stock"`
}

// Summary is what a seeding has done.
type Summary struct {
	Categories int // in the catalogue
	Products   int // in the catalogue
	Created    int // products that were not there before
}

// Seeder loads the catalogue through the use cases.
type Seeder struct {
	Catalog  *usecase.Catalog
	Queries  *usecase.Queries
	Stock    *usecase.Stock
	Currency string
}

// Seed loads the catalogue. What is there already stays as it is, so it can be run again, also after it was interrupted.
func (s Seeder) Seed(ctx context.Context) (Summary, error) {
	var file struct {
		Categories []category `json:"categories"`
		Products   []product  `json:"products"`
	}
	if err := json.Unmarshal(catalogue, &file); err != nil {
		return Summary{}, fmt.Errorf("read the demo catalogue: %w", err)
	}
	ids := make(map[string]uuid.UUID)
	if err := s.categories(ctx, file.Categories, uuid.Nil, ids); err != nil {
		return Summary{}, err
	}
	summary := Summary{Categories: len(ids), Products: len(file.Products)}
	for _, p := range file.Products {
		created, err := s.product(ctx, p, ids)
		if err != nil {
			return summary, fmt.Errorf("product %s: %w", p.SKU, err)
		}
		if created {
			summary.Created++
		}
	}
	return summary, nil
}

// categories adds categories below a parent, and notes the ids of all by slug.
func (s Seeder) categories(ctx context.Context, categories []category, parent uuid.UUID, ids map[string]uuid.UUID) error {
	for _, c := range categories {
		created, err := s.Catalog.CreateCategory(ctx, usecase.CreateCategory{Name: c.Name, Slug: c.Slug, Description: c.Description, ParentID: parent})
		id := created.ID
		if errors.Is(err, domain.ErrSlugTaken) {
			var there *domain.CategoryNode
			if there, err = s.Queries.Category(ctx, c.Slug); err == nil {
				id = there.ID
			}
		}
		if err != nil {
			return fmt.Errorf("category %s: %w", c.Slug, err)
		}
		ids[c.Slug] = id
		if err := s.categories(ctx, c.Children, id, ids); err != nil {
			return err
		}
	}
	return nil
}

// product adds a product and its first delivery. A product that never had a delivery is given it: a seeding that was
// interrupted between the two is completed, and one that was not adds nothing. The key is for two seedings at once.
func (s Seeder) product(ctx context.Context, p product, categories map[string]uuid.UUID) (created bool, err error) {
	price, err := money.New(p.Price, s.Currency)
	if err != nil {
		return false, err
	}
	slug := domain.Slugify(p.Name) // no two of the catalogue have one name
	details := domain.ProductDetails{
		SKU: p.SKU, Slug: slug, Name: p.Name, ShortDescription: p.ShortDescription, Description: p.Description, Price: price,
		Images:     []domain.Image{{URL: "https://images.shop.example/" + domain.Slugify(p.SKU) + ".jpg", Alt: p.Name}},
		Attributes: p.Attributes, Status: domain.Active,
	}
	for _, slug := range p.Categories {
		id, ok := categories[slug]
		if !ok {
			return false, fmt.Errorf("there is no category %q", slug)
		}
		details.CategoryIDs = append(details.CategoryIDs, id)
	}
	view, err := s.Catalog.CreateProduct(ctx, details)
	created = err == nil
	if errors.Is(err, domain.ErrSKUTaken) || errors.Is(err, domain.ErrSlugTaken) {
		view, err = s.Queries.Product(ctx, auth.Principal{Role: auth.Staff}, slug)
		if errors.Is(err, domain.ErrProductMissing) || (err == nil && view.SKU != p.SKU) {
			return false, nil // a product that is not from this catalogue has the SKU or the slug; it stays as it is
		}
	}
	if err != nil {
		return false, err
	}
	deliveries, err := s.Queries.Ledger(ctx, usecase.LedgerQuery{ProductID: view.ID, PageSize: 1})
	if err != nil || len(deliveries.Entries) > 0 {
		return created, err
	}
	_, _, err = s.Stock.Adjust(ctx, usecase.AdjustStock{
		ProductID: view.ID, Delta: p.Stock, Reason: "first delivery", Actor: actor, Key: "demo-" + p.SKU,
	})
	return created, err
}
