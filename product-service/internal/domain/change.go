package domain

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// ProductChange is what staff say anew about a product. What is nil stays as it is.
type ProductChange struct {
	SKU              *string
	Slug             *string
	Name             *string
	ShortDescription *string
	Description      *string
	Price            *money.Money
	CategoryIDs      *[]uuid.UUID
	Images           *[]Image
	Attributes       *map[string]string
	Status           *ProductStatus
	Discount         *Discount
	// RemoveDiscount takes the discount away.
	RemoveDiscount bool
}

// Change changes a product of a shop that sells in one currency, or, with an error that names every field that is wrong,
// leaves it as it is.
func (p *Product) Change(c ProductChange, currency string, now time.Time) error {
	next := p.s
	setLine(&next.SKU, c.SKU)
	set(&next.Slug, c.Slug)
	setLine(&next.Name, c.Name)
	setLine(&next.ShortDescription, c.ShortDescription)
	setLine(&next.Description, c.Description)
	set(&next.Price, c.Price)
	set(&next.CategoryIDs, c.CategoryIDs)
	set(&next.Images, c.Images)
	set(&next.Attributes, c.Attributes)
	set(&next.Status, c.Status)
	if c.Discount != nil {
		next.Discount = c.Discount.normal()
	}
	violations := (&Product{s: next}).violations(currency)
	if c.RemoveDiscount {
		next.Discount = nil
		if c.Discount != nil {
			violations = append(violations, violation("remove_discount", "It must not be together with a discount."))
		}
	}
	if len(violations) > 0 {
		return apperr.ValidationFailed(violations...)
	}
	switch {
	case p.kept == nil:
	case p.kept.same(next):
		next = *p.kept
	default:
		next.Version, next.UpdatedAt = p.kept.Version+1, now
	}
	p.s = next
	return nil
}

// Changed reports whether a product is another one than its store has kept. It is one version newer then, however many
// changes have led there; when they have led back, nothing has changed.
func (p *Product) Changed() bool { return p.kept == nil || p.s.Version != p.kept.Version }

// CategoriesChanged reports whether its store has it in other categories, or in another order.
func (p *Product) CategoriesChanged() bool {
	return p.kept == nil || !slices.Equal(p.s.CategoryIDs, p.kept.CategoryIDs)
}

// Listed reports whether its store has the product in lists, and whether it is now: only active products are.
func (p *Product) Listed() (before, now bool) {
	return p.kept != nil && p.kept.Status == Active, p.s.Status == Active
}

// ListedIn returns the categories that count the product by what its store has, and by what it is now.
func (p *Product) ListedIn() (before, now []uuid.UUID) {
	if p.kept != nil {
		before = p.kept.CategoryIDs
	}
	return before, p.s.CategoryIDs
}

// PlaceChanged reports whether lists show it elsewhere than its store has it.
func (p *Product) PlaceChanged() bool {
	return p.kept == nil || p.s.Status != p.kept.Status || p.s.Price != p.kept.Price || p.s.Name != p.kept.Name
}

// SlugChanged reports whether its store has it under another slug.
func (p *Product) SlugChanged() bool { return p.kept != nil && p.s.Slug != p.kept.Slug }

// Expect returns ErrProductChanged unless the product has the version that a caller saw; nil stands for any.
func (p *Product) Expect(version *int64) error {
	if version != nil && *version != p.s.Version {
		return ErrProductChanged
	}
	return nil
}

// Details are those of a new product about which nothing else is known.
func (c ProductChange) Details() ProductDetails {
	var d ProductDetails
	set(&d.SKU, c.SKU)
	set(&d.Slug, c.Slug)
	set(&d.Name, c.Name)
	set(&d.ShortDescription, c.ShortDescription)
	set(&d.Description, c.Description)
	set(&d.Price, c.Price)
	set(&d.CategoryIDs, c.CategoryIDs)
	set(&d.Images, c.Images)
	set(&d.Attributes, c.Attributes)
	set(&d.Status, c.Status)
	d.Discount = c.Discount
	return d
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func setLine(field, value *string) {
	if value != nil {
		*field = strings.TrimSpace(*value)
	}
}

// same compares all that staff can change.
func (s ProductSnapshot) same(other ProductSnapshot) bool {
	return s.SKU == other.SKU && s.Slug == other.Slug && s.Name == other.Name &&
		s.ShortDescription == other.ShortDescription && s.Description == other.Description && s.Price == other.Price &&
		slices.Equal(s.CategoryIDs, other.CategoryIDs) && slices.Equal(s.Images, other.Images) &&
		maps.Equal(s.Attributes, other.Attributes) && s.Status == other.Status && s.Discount.same(other.Discount)
}
