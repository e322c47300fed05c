// Package domain is the catalogue and the stock: what a product is, what it costs, and how many may still be promised.
package domain

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// The bounds of a product's texts, in characters, and of its lists. They are those of the RPC contract.
const (
	maxSKU              = 64
	maxName             = 200
	maxShortDescription = 500
	maxDescription      = 20_000
	maxCategories       = 20
	maxImages           = 20
	maxAttributes       = 50
	maxAttributeName    = 100
	maxImageURL         = 2048
	// maxPrice is in minor units: 100 lines of 999 pieces at this price are far from the end of int64, and every sum that
	// can occur with real prices is exact in JSON.
	maxPrice = 1_000_000_000_000
)

// Image is a picture of a product, kept elsewhere.
type Image struct {
	URL string `json:"url"`
	Alt string `json:"alt,omitempty"`
}

// ProductSnapshot is a product as plain values, for stores and answers.
type ProductSnapshot struct {
	ID               uuid.UUID
	SKU              string
	Slug             string
	Name             string
	ShortDescription string
	Description      string
	Price            money.Money
	CategoryIDs      []uuid.UUID
	Images           []Image
	Attributes       map[string]string
	Status           ProductStatus
	Discount         *Discount // nil for none
	Version          int64
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Product is something that the shop sells. Its fields hold together by the rules of NewProduct.
type Product struct {
	s    ProductSnapshot
	kept *ProductSnapshot // as the store has it, nil for a new one
}

// ProductDetails are what staff say about a product.
type ProductDetails struct {
	SKU              string
	Slug             string // derived from the name when empty
	Name             string
	ShortDescription string
	Description      string
	Price            money.Money
	CategoryIDs      []uuid.UUID
	Images           []Image
	Attributes       map[string]string
	Status           ProductStatus // Draft when empty
	Discount         *Discount     // nil for none
}

// NewProduct returns a product of a shop that sells in one currency. The error names every field that is wrong.
func NewProduct(id uuid.UUID, d ProductDetails, currency string, now time.Time) (*Product, error) {
	p := &Product{s: ProductSnapshot{
		ID: id, SKU: strings.TrimSpace(d.SKU), Slug: d.Slug, Name: strings.TrimSpace(d.Name),
		ShortDescription: strings.TrimSpace(d.ShortDescription), Description: strings.TrimSpace(d.Description), Price: d.Price,
		CategoryIDs: slices.Clone(d.CategoryIDs), Images: slices.Clone(d.Images), Attributes: maps.Clone(d.Attributes),
		Status: d.Status, Discount: d.Discount.normal(), Version: 1, CreatedAt: now, UpdatedAt: now,
	}}
	if p.s.Status == "" {
		p.s.Status = Draft
	}
	if p.s.Slug == "" {
		p.s.Slug = p.derivedSlug(p.s.Name)
	}
	if violations := p.violations(currency); len(violations) > 0 {
		return nil, apperr.ValidationFailed(violations...)
	}
	return p, nil
}

// RestoreProduct returns the product that a store has kept. It was checked when it was made.
func RestoreProduct(s ProductSnapshot) *Product { return &Product{s: s, kept: &s} }

// Clone returns a copy that can be changed without changing p.
func (p *Product) Clone() *Product { return &Product{p.s, p.kept} }

// New reports whether no store has kept the product yet.
func (p *Product) New() bool { return p.kept == nil }

// Snapshot returns the product as plain values.
func (p *Product) Snapshot() ProductSnapshot { return p.s }

// DistinguishSlug makes the slug from the name and the SKU, for a product whose name alone is taken: two products may have
// one name, as two colours of a chair do. Where that is its slug already, it makes it from the id: SKUs can differ in what no
// slug tells apart, such as capitals.
func (p *Product) DistinguishSlug() {
	suffix := Slugify(p.s.SKU)
	// The SKU is what makes the difference, so a long name gives way to it.
	room := max(maxSlug-len(suffix)-1, 0)
	base := Slugify(p.s.Name)
	distinct := p.derivedSlug(base[:min(len(base), room)] + " " + suffix)
	if distinct == p.s.Slug {
		distinct = p.slugOfID()
	}
	p.s.Slug = distinct
}

// derivedSlug returns a good slug for any text. Names that ASCII can't say, and those that read as an id, fall back on the
// product's own id behind a word.
func (p *Product) derivedSlug(text string) string {
	for _, candidate := range []string{Slugify(text), Slugify(p.s.SKU)} {
		if slugProblem(candidate) == "" {
			return candidate
		}
	}
	return p.slugOfID()
}

func (p *Product) slugOfID() string { return "product-" + p.s.ID.String() }

func (p *Product) violations(currency string) []apperr.Violation {
	var v []apperr.Violation
	add := func(location, message string) { v = append(v, violation(location, message)) }

	if problem := lineProblem(p.s.SKU, maxSKU); problem != "" {
		add("sku", problem)
	}
	if problem := lineProblem(p.s.Name, maxName); problem != "" {
		add("name", problem)
	}
	if problem := slugProblem(p.s.Slug); problem != "" {
		add("slug", problem)
	}
	if problem := textProblem(p.s.ShortDescription, maxShortDescription); problem != "" {
		add("short_description", problem)
	}
	if problem := textProblem(p.s.Description, maxDescription); problem != "" {
		add("description", problem)
	}
	if p.s.Price.Amount() < 0 {
		add("price.amount", "It must not be negative.")
	}
	if p.s.Price.Amount() > maxPrice {
		add("price.amount", fmt.Sprintf("It must be at most %d.", int64(maxPrice)))
	}
	switch p.s.Price.Currency() {
	case currency:
	case "":
		add("price", "It must be given.")
	default:
		add("price.currency", fmt.Sprintf("The shop sells in %s.", currency))
	}
	v = append(v, p.s.Discount.violations()...)
	if !p.s.Status.Known() {
		add("status", "It must be draft, active or archived.")
	}
	if len(p.s.CategoryIDs) > maxCategories {
		add("category_ids", fmt.Sprintf("There must be at most %d.", maxCategories))
	}
	for i, id := range p.s.CategoryIDs {
		if slices.Contains(p.s.CategoryIDs[:i], id) {
			add(fmt.Sprintf("category_ids[%d]", i), "It is named twice.")
		}
	}
	if len(p.s.Images) > maxImages {
		add("images", fmt.Sprintf("There must be at most %d.", maxImages))
	}
	for i, image := range p.s.Images {
		// Nothing but web addresses: an image is shown by browsers, and javascript: is a URL too.
		if u, err := url.Parse(image.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			add(fmt.Sprintf("images[%d].url", i), "It must be an http or https address.")
		} else if problem := textProblem(image.URL, maxImageURL); problem != "" {
			add(fmt.Sprintf("images[%d].url", i), problem)
		}
		if problem := textProblem(image.Alt, maxShortDescription); problem != "" {
			add(fmt.Sprintf("images[%d].alt", i), problem)
		}
	}
	if len(p.s.Attributes) > maxAttributes {
		add("attributes", fmt.Sprintf("There must be at most %d.", maxAttributes))
	}
	for _, name := range slices.Sorted(maps.Keys(p.s.Attributes)) {
		if lineProblem(name, maxAttributeName) != "" || textProblem(p.s.Attributes[name], maxShortDescription) != "" {
			add("attributes", "Names and values must be short texts.")
			break
		}
	}
	return v
}

// lineProblem says what is wrong with a text of one line that must not be empty.
func lineProblem(text string, limit int) string {
	switch {
	case text == "":
		return "It must not be empty."
	case strings.ContainsFunc(text, unicode.IsControl):
		return "It must not contain control characters."
	default:
		return textProblem(text, limit)
	}
}

// textProblem says what is wrong with a text. NUL and what is not UTF-8 can't be stored.
func textProblem(text string, limit int) string {
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "It must be valid text."
	case utf8.RuneCountInString(text) > limit:
		return fmt.Sprintf("It must have at most %d characters.", limit)
	default:
		return ""
	}
}
