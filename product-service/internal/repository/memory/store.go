// Package memory keeps the catalogue and the stock in memory, by the same contract as the database. It serves tests.
package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Store is the whole of it under one lock.
type Store struct {
	mu           sync.Mutex
	products     map[uuid.UUID]usecase.ProductView
	categories   map[uuid.UUID]domain.Category
	reservations map[uuid.UUID]domain.ReservationSnapshot
	restocks     map[uuid.UUID][]domain.Restock // by order
	ledger       []domain.LedgerEntry
}

// New returns an empty store.
func New() *Store {
	return &Store{
		products:     make(map[uuid.UUID]usecase.ProductView),
		categories:   make(map[uuid.UUID]domain.Category),
		reservations: make(map[uuid.UUID]domain.ReservationSnapshot),
		restocks:     make(map[uuid.UUID][]domain.Restock),
	}
}

// CreateProduct implements usecase.ProductStore.
func (s *Store) CreateProduct(_ context.Context, product *domain.Product) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := product.Snapshot()
	slugTaken := false
	for _, other := range s.products {
		if other.SKU == p.SKU {
			return domain.ErrSKUTaken
		}
		slugTaken = slugTaken || other.Slug == p.Slug
	}
	if slugTaken {
		return domain.ErrSlugTaken
	}
	known := make(map[uuid.UUID]bool, len(p.CategoryIDs))
	for _, id := range p.CategoryIDs {
		if _, ok := s.categories[id]; ok {
			known[id] = true
		}
	}
	if len(known) < len(p.CategoryIDs) {
		return domain.UnknownCategories(p.CategoryIDs, known)
	}
	s.products[p.ID] = usecase.ProductView{ProductSnapshot: p}
	return nil
}

// Product implements usecase.ProductReader.
func (s *Store) Product(_ context.Context, ref domain.Ref) (usecase.ProductView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.products {
		if p.ID == ref.ID || (ref.ID == uuid.Nil && p.Slug == ref.Slug) {
			return p, nil
		}
	}
	return usecase.ProductView{}, domain.ErrProductMissing
}

// Products implements usecase.ProductReader.
func (s *Store) Products(_ context.Context, ids []uuid.UUID) ([]usecase.ProductView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []usecase.ProductView
	for _, id := range ids {
		if p, ok := s.products[id]; ok {
			found = append(found, p)
		}
	}
	return found, nil
}

// listed is a product of a list with what the list is sorted by.
type listed struct {
	usecase.ProductView
	at usecase.Cursor
}

// FindProducts implements usecase.ProductReader.
func (s *Store) FindProducts(_ context.Context, q usecase.ProductQuery) (usecase.ProductPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	words := domain.Fold(q.Text)
	var hits []listed
	for _, p := range s.products {
		if p.Status != domain.Active ||
			(q.Category != "" && !s.below(p.CategoryIDs, domain.ParseRef(q.Category))) ||
			(q.MinPrice != nil && p.Price.Amount() < *q.MinPrice) ||
			(q.MaxPrice != nil && p.Price.Amount() > *q.MaxPrice) ||
			(q.InStock != nil && (p.Stock.Available() > 0) != *q.InStock) {
			continue
		}
		relevance := int64(0)
		if q.Text != "" {
			if relevance = rank(p.ProductSnapshot, words); relevance == 0 {
				continue
			}
		}
		hits = append(hits, listed{p, place(q.Sort, p, relevance)})
	}
	order := compare
	if q.Sort == usecase.SortNewest || q.Sort == usecase.SortPriceDesc || q.Sort == usecase.SortRelevance {
		order = func(a, b usecase.Cursor) int { return compare(b, a) }
	}
	slices.SortFunc(hits, func(a, b listed) int { return order(a.at, b.at) })

	var page usecase.ProductPage
	if q.IncludeTotal {
		total := int64(len(hits))
		page.Total = &total
	}
	for _, h := range hits {
		if q.After != nil && order(h.at, *q.After) <= 0 {
			continue
		}
		if len(page.Products) == q.PageSize {
			last := page.Products[len(page.Products)-1]
			i := slices.IndexFunc(hits, func(h listed) bool { return h.ID == last.ID })
			page.Next = &hits[i].at
			break
		}
		page.Products = append(page.Products, h.ProductView)
	}
	return page, nil
}

func place(sort usecase.Sort, p usecase.ProductView, relevance int64) usecase.Cursor {
	c := usecase.Cursor{ID: p.ID}
	switch sort {
	case usecase.SortPriceAsc, usecase.SortPriceDesc:
		c.Number = p.Price.Amount()
	case usecase.SortName:
		c.Text = domain.Fold(p.Name)
	case usecase.SortRelevance:
		c.Number = relevance
	default:
		c.Number = p.CreatedAt.UnixMicro()
	}
	return c
}

func compare(a, b usecase.Cursor) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Text, b.Text), slices.Compare(a.ID[:], b.ID[:]))
}

// below reports whether one of the categories is the one that ref names, or a descendant of it.
func (s *Store) below(categories []uuid.UUID, ref domain.Ref) bool {
	for _, id := range categories {
		for c, ok := s.categories[id]; ok; c, ok = s.categories[c.ParentID] {
			if c.ID == ref.ID || (ref.ID == uuid.Nil && c.Slug == ref.Slug) {
				return true
			}
		}
	}
	return false
}

// CreateCategory implements usecase.CategoryStore.
func (s *Store) CreateCategory(_ context.Context, c domain.Category) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.categories {
		if other.Slug == c.Slug {
			return domain.ErrSlugTaken
		}
	}
	if _, ok := s.categories[c.ParentID]; !ok && c.ParentID != uuid.Nil {
		return apperr.InvalidField("parent_id", "There is no such category.")
	}
	s.categories[c.ID] = c
	return nil
}

// Categories implements usecase.CategoryReader.
func (s *Store) Categories(_ context.Context) ([]domain.Category, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []domain.Category
	for _, c := range s.categories {
		for _, p := range s.products {
			if p.Status == domain.Active && s.below(p.CategoryIDs, domain.Ref{ID: c.ID}) {
				c.ProductCount++
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// AdjustStock implements usecase.StockStore.
func (s *Store) AdjustStock(_ context.Context, a domain.Adjustment) (domain.Stock, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.products[a.ProductID]
	if !ok {
		return domain.Stock{}, false, domain.ErrProductMissing
	}
	if a.Key != "" {
		for _, e := range s.ledger {
			if e.Actor != a.Actor || e.Key != a.Key {
				continue
			}
			if !e.RepeatedBy(a) {
				return domain.Stock{}, false, domain.ErrIdempotencyKeyReused
			}
			return e.After, true, nil
		}
	}
	next, err := p.Stock.Adjust(a.Delta)
	if err != nil {
		return domain.Stock{}, false, err
	}
	p.Stock = next
	s.products[p.ID] = p
	s.ledger = append(s.ledger, a.Entry(next))
	return next, false, nil
}

// Reserve implements usecase.ReservationStore.
func (s *Store) Reserve(_ context.Context, request *domain.Reservation, now time.Time) (*domain.Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := request.Snapshot().Lines
	r, effect := request, request.Promise()
	if kept, ok := s.reservations[request.Snapshot().OrderID]; ok {
		r = domain.RestoreReservation(kept)
		if r.YieldsTo(request) {
			return r, s.replaceLines(r, request, now)
		}
		var err error
		if effect, err = r.ReserveAgain(request, now); err != nil {
			return nil, err
		}
	}
	if err := effect.Check(lines, s.availability(lines)); err != nil {
		return nil, err
	}
	return r, s.save(r, effect, "", now)
}

// UpdateReservation implements usecase.ReservationStore.
func (s *Store) UpdateReservation(_ context.Context, orderID uuid.UUID, actor string, now time.Time, change func(*domain.Reservation) (domain.Effect, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.reservations[orderID]
	if !ok {
		return domain.ErrReservationMissing
	}
	r := domain.RestoreReservation(kept)
	effect, err := change(r)
	if err != nil {
		return err
	}
	if err := effect.Check(kept.Lines, s.availability(kept.Lines)); err != nil {
		return err
	}
	return s.save(r, effect, actor, now)
}

// AddTombstone implements usecase.ReservationStore.
func (s *Store) AddTombstone(_ context.Context, tombstone *domain.Reservation) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := tombstone.Snapshot()
	if _, ok := s.reservations[r.OrderID]; ok {
		return false, nil
	}
	s.reservations[r.OrderID] = r
	return true, nil
}

// ExpireReservations implements usecase.OverdueStore.
func (s *Store) ExpireReservations(_ context.Context, now time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, kept := range s.reservations {
		if n == limit {
			break
		}
		r := domain.RestoreReservation(kept)
		if effect := r.Expire(now); !effect.IsNone() {
			n++
			if err := s.save(r, effect, "", now); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// Ledger returns a product's changes of what is on hand, the first one first.
func (s *Store) Ledger(_ context.Context, productID uuid.UUID) ([]domain.LedgerEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []domain.LedgerEntry
	for _, e := range s.ledger {
		if e.ProductID == productID {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

func (s *Store) availability(lines []domain.Line) map[uuid.UUID]domain.Availability {
	stock := make(map[uuid.UUID]domain.Availability, len(lines))
	for _, l := range lines {
		if p, ok := s.products[l.ProductID]; ok {
			stock[p.ID] = domain.Availability{Stock: p.Stock, Sellable: p.Status.Sellable()}
		}
	}
	return stock
}

func (s *Store) save(reservation *domain.Reservation, e domain.Effect, actor string, now time.Time) error {
	r := reservation.Snapshot()
	s.reservations[r.OrderID] = r
	return s.move(r.OrderID, reservation.Out(s.restocks[r.OrderID]), e, actor, now)
}

// move applies an effect to the stock of lines, and enters it in the ledger if what is on hand changes.
func (s *Store) move(orderID uuid.UUID, lines []domain.Line, e domain.Effect, actor string, now time.Time) error {
	for _, l := range lines {
		p := s.products[l.ProductID]
		p.Stock = p.Stock.Apply(e, l.Quantity)
		s.products[l.ProductID] = p
		if e.OnHand == 0 {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		s.ledger = append(s.ledger, domain.LedgerEntry{
			ID: id, ProductID: l.ProductID, Delta: e.OnHand * l.Quantity, Reason: e.Reason, Reference: orderID.String(),
			Actor: actor, After: p.Stock, At: now,
		})
	}
	return nil
}
