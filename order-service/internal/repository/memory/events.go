package memory

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/eventjson"
	"shop.example/order-service/internal/usecase"
)

// webhooks are the events and where they go.
type webhooks struct {
	endpoints  map[uuid.UUID]domain.Endpoint
	events     map[uuid.UUID]domain.Event
	deliveries map[uuid.UUID]domain.Delivery
	planned    []usecase.PlannedDelivery
}

func newWebhooks() webhooks {
	return webhooks{
		endpoints: make(map[uuid.UUID]domain.Endpoint), events: make(map[uuid.UUID]domain.Event), deliveries: make(map[uuid.UUID]domain.Delivery),
	}
}

// tell writes down the events of a change of an order, for the endpoints that want them, or nothing if it fails.
func (s *Store) tell(r *row, after domain.Snapshot) error {
	before := r.order
	if !r.told {
		before = domain.Snapshot{}
	}
	var (
		events     []domain.Event
		deliveries []domain.Delivery
	)
	for _, eventType := range domain.EventsOf(before, after) {
		event, err := domain.NewEvent(eventType, after)
		if err != nil {
			return err
		}
		if event.Body, err = eventjson.Body(event, after); err != nil {
			return err
		}
		wanted := len(deliveries)
		for _, id := range sortedIDs(s.webhooks.endpoints) {
			if endpoint := s.webhooks.endpoints[id]; endpoint.Wants(eventType) {
				d, err := domain.NewDelivery(event, id)
				if err != nil {
					return err
				}
				deliveries = append(deliveries, d)
			}
		}
		if len(deliveries) > wanted {
			events = append(events, event)
		}
	}
	r.told = true
	for _, event := range events {
		s.webhooks.events[event.ID] = event
	}
	for _, d := range deliveries {
		s.webhooks.deliveries[d.ID] = d
		s.webhooks.planned = append(s.webhooks.planned, usecase.PlannedDelivery{ID: d.ID, EndpointID: d.EndpointID, Round: d.Round})
	}
	return nil
}

func sortedIDs[T any](all map[uuid.UUID]T) []uuid.UUID {
	return slices.SortedFunc(maps.Keys(all), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}

// newestFirst returns up to limit values that match, after the one with the id after unless that is zero.
func newestFirst[T any](all map[uuid.UUID]T, after uuid.UUID, limit int, matches func(T) bool) []T {
	var found []T
	for _, id := range slices.Backward(sortedIDs(all)) {
		if len(found) < limit && matches(all[id]) && (after == uuid.Nil || bytes.Compare(id[:], after[:]) < 0) {
			found = append(found, all[id])
		}
	}
	return found
}

func there(e domain.Endpoint) bool { return e.DeletedAt.IsZero() }

func copyEndpoint(e domain.Endpoint) domain.Endpoint {
	e.Events = slices.Clone(e.Events)
	return e
}

// AddEndpoint implements usecase.EndpointStore.
func (s *Store) AddEndpoint(ctx context.Context, e domain.Endpoint, limit int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(newestFirst(s.webhooks.endpoints, uuid.Nil, math.MaxInt, there)) >= limit {
		return domain.ErrEndpointLimit
	}
	s.webhooks.endpoints[e.ID] = copyEndpoint(e)
	return nil
}

// UpdateEndpoint implements usecase.EndpointStore.
func (s *Store) UpdateEndpoint(ctx context.Context, id uuid.UUID, change func(*domain.Endpoint) error) (domain.Endpoint, error) {
	if err := ctx.Err(); err != nil {
		return domain.Endpoint{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.webhooks.endpoints[id]
	if !ok || !there(e) {
		return domain.Endpoint{}, domain.ErrEndpointMissing
	}
	e = copyEndpoint(e)
	if err := change(&e); err != nil {
		return domain.Endpoint{}, err
	}
	s.webhooks.endpoints[id] = copyEndpoint(e)
	return e, nil
}

// Endpoint implements usecase.EndpointReader.
func (s *Store) Endpoint(ctx context.Context, id uuid.UUID) (domain.Endpoint, error) {
	if err := ctx.Err(); err != nil {
		return domain.Endpoint{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.webhooks.endpoints[id]
	if !ok || !there(e) {
		return domain.Endpoint{}, domain.ErrEndpointMissing
	}
	return copyEndpoint(e), nil
}

// ListEndpoints implements usecase.EndpointReader.
func (s *Store) ListEndpoints(ctx context.Context, after uuid.UUID, limit int) ([]domain.Endpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := newestFirst(s.webhooks.endpoints, after, limit, there)
	for i := range found {
		found[i] = copyEndpoint(found[i])
	}
	return found, nil
}

// CountEndpoints implements usecase.EndpointReader.
func (s *Store) CountEndpoints(ctx context.Context) (int64, error) {
	all, err := s.ListEndpoints(ctx, uuid.Nil, math.MaxInt)
	return int64(len(all)), err
}

// ListDeliveries implements usecase.DeliveryReader.
func (s *Store) ListDeliveries(ctx context.Context, f usecase.DeliveryFilter, after uuid.UUID, limit int) ([]domain.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return newestFirst(s.webhooks.deliveries, after, limit, func(d domain.Delivery) bool {
		return d.EndpointID == f.EndpointID && (f.Status == "" || d.Status == f.Status)
	}), nil
}

// CountDeliveries implements usecase.DeliveryReader.
func (s *Store) CountDeliveries(ctx context.Context, f usecase.DeliveryFilter) (int64, error) {
	all, err := s.ListDeliveries(ctx, f, uuid.Nil, math.MaxInt)
	return int64(len(all)), err
}

// UpdateDelivery implements usecase.DeliveryStore.
func (s *Store) UpdateDelivery(ctx context.Context, id uuid.UUID, change func(*domain.Delivery) error) (domain.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return domain.Delivery{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.webhooks.deliveries[id]
	if !ok {
		return domain.Delivery{}, domain.ErrDeliveryMissing
	}
	after := before
	if err := change(&after); err != nil {
		return domain.Delivery{}, err
	}
	s.webhooks.deliveries[id] = after
	if after.Round != before.Round {
		s.webhooks.planned = append(s.webhooks.planned, usecase.PlannedDelivery{ID: id, EndpointID: after.EndpointID, Round: after.Round})
	}
	return after, nil
}

// Outgoing implements usecase.OutgoingStore.
func (s *Store) Outgoing(ctx context.Context, deliveryID uuid.UUID) (usecase.Outgoing, error) {
	if err := ctx.Err(); err != nil {
		return usecase.Outgoing{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.webhooks.deliveries[deliveryID]
	if !ok {
		return usecase.Outgoing{}, domain.ErrDeliveryMissing
	}
	return usecase.Outgoing{
		Delivery: d, Endpoint: copyEndpoint(s.webhooks.endpoints[d.EndpointID]), Body: slices.Clone(s.webhooks.events[d.EventID].Body),
	}, nil
}

// PlannedDeliveries returns what was planned to be sent, the oldest first.
func (s *Store) PlannedDeliveries(context.Context) ([]usecase.PlannedDelivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.webhooks.planned), nil
}
