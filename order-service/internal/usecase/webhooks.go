package usecase

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/pagetoken"
)

// EndpointStore keeps the endpoints that events are sent to. A deleted one is domain.ErrEndpointMissing.
type EndpointStore interface {
	// AddEndpoint keeps a new endpoint; domain.ErrEndpointLimit if there are limit of them.
	AddEndpoint(ctx context.Context, e domain.Endpoint, limit int) error
	// UpdateEndpoint has change change an endpoint that nobody else can change meanwhile. An error of change, which is
	// returned as it is, leaves it as it was.
	UpdateEndpoint(ctx context.Context, id uuid.UUID, change func(*domain.Endpoint) error) (domain.Endpoint, error)
}

// EndpointReader reads endpoints that were not deleted.
type EndpointReader interface {
	// Endpoint returns an endpoint, or domain.ErrEndpointMissing.
	Endpoint(ctx context.Context, id uuid.UUID) (domain.Endpoint, error)
	// ListEndpoints returns up to limit endpoints, newest first, after the one with the id after unless that is zero.
	ListEndpoints(ctx context.Context, after uuid.UUID, limit int) ([]domain.Endpoint, error)
	// CountEndpoints returns how many there are.
	CountEndpoints(ctx context.Context) (int64, error)
}

// DeliveryReader reads the log of what was sent.
type DeliveryReader interface {
	// ListDeliveries returns up to limit deliveries that match, newest first, after the one with the id after unless that is
	// zero.
	ListDeliveries(ctx context.Context, f DeliveryFilter, after uuid.UUID, limit int) ([]domain.Delivery, error)
	// CountDeliveries returns how many match.
	CountDeliveries(ctx context.Context, f DeliveryFilter) (int64, error)
}

// DeliveryFilter selects deliveries of an endpoint: all, unless there is a status.
type DeliveryFilter struct {
	EndpointID uuid.UUID
	Status     domain.DeliveryStatus
}

// DeliveryStore changes deliveries. OrderStore.Decide makes them, with the events of what it stores: of each event one for each
// endpoint that wants it, in the same transaction, and plans to send them at once.
type DeliveryStore interface {
	// UpdateDelivery has change change a delivery that nobody else can change meanwhile, and, if that began a new round, plans
	// to send it at once in the same transaction. An error of change, which is returned as it is, leaves it as it was.
	// domain.ErrDeliveryMissing if there is none.
	UpdateDelivery(ctx context.Context, id uuid.UUID, change func(*domain.Delivery) error) (domain.Delivery, error)
}

// Targets knows where events may be sent.
type Targets interface {
	// Check returns an invalid error, at url, for a target that nothing is sent to.
	Check(ctx context.Context, url string) error
}

// Secrets are what events are signed with.
type Secrets interface {
	// SecretOf returns the secret of an endpoint as its receiver is told it. It is always the same.
	SecretOf(endpointID uuid.UUID) (string, error)
}

// WebhookParts is what Webhooks needs.
type WebhookParts struct {
	Endpoints  EndpointStore
	Reader     EndpointReader
	Deliveries DeliveryStore
	Log        DeliveryReader
	Targets    Targets
	Secrets    Secrets
	Now        func() time.Time
}

// Webhooks are what admins do with the endpoints that events are sent to. Who may is decided at the door.
type Webhooks struct{ WebhookParts }

// NewWebhooks returns the use cases of endpoints.
func NewWebhooks(parts WebhookParts) *Webhooks { return &Webhooks{parts} }

// Create adds an endpoint, and returns its secret.
func (w *Webhooks) Create(ctx context.Context, terms domain.EndpointTerms) (_ domain.Endpoint, secret string, _ error) {
	endpoint, err := domain.NewEndpoint(terms, w.Now())
	if err != nil {
		return domain.Endpoint{}, "", err
	}
	if err := w.Targets.Check(ctx, endpoint.URL); err != nil {
		return domain.Endpoint{}, "", err
	}
	if secret, err = w.Secrets.SecretOf(endpoint.ID); err != nil {
		return domain.Endpoint{}, "", fmt.Errorf("make the secret: %w", err)
	}
	return endpoint, secret, w.Endpoints.AddEndpoint(ctx, endpoint, domain.MaxEndpoints)
}

// EndpointChange is what an admin wants to have changed. What is nil stays.
type EndpointChange struct {
	URL    *string
	Events *[]domain.EventType
	Status *domain.EndpointStatus
	// IfVersion is the version that the wish is about; nil for any.
	IfVersion *int64
}

// Update changes an endpoint. What waits to be sent goes to where the endpoint is when its turn comes.
func (w *Webhooks) Update(ctx context.Context, id uuid.UUID, wish EndpointChange) (domain.Endpoint, error) {
	if wish.URL != nil {
		if err := w.Targets.Check(ctx, *wish.URL); err != nil {
			return domain.Endpoint{}, err
		}
	}
	return w.Endpoints.UpdateEndpoint(ctx, id, func(e *domain.Endpoint) error {
		if stale(wish.IfVersion, e.Version) {
			return domain.ErrEndpointVersion
		}
		terms := e.EndpointTerms
		if wish.URL != nil {
			terms.URL = *wish.URL
		}
		if wish.Events != nil {
			terms.Events = *wish.Events
		}
		if wish.Status != nil {
			terms.Status = *wish.Status
		}
		return e.Change(terms, w.Now())
	})
}

// Delete ends an endpoint. What waits to be sent to it is not sent.
func (w *Webhooks) Delete(ctx context.Context, id uuid.UUID, ifVersion *int64) error {
	_, err := w.Endpoints.UpdateEndpoint(ctx, id, func(e *domain.Endpoint) error {
		if stale(ifVersion, e.Version) {
			return domain.ErrEndpointVersion
		}
		e.Delete(w.Now())
		return nil
	})
	return err
}

// Get returns an endpoint.
func (w *Webhooks) Get(ctx context.Context, id uuid.UUID) (domain.Endpoint, error) {
	return w.Reader.Endpoint(ctx, id)
}

// Redeliver sends an event to an endpoint once more, at once, and with all retries from the beginning. An attempt that is under
// way goes on beside it.
func (w *Webhooks) Redeliver(ctx context.Context, endpointID, deliveryID uuid.UUID) (domain.Delivery, error) {
	endpoint, err := w.Reader.Endpoint(ctx, endpointID)
	if err != nil {
		return domain.Delivery{}, err
	}
	if !endpoint.Receives() {
		return domain.Delivery{}, domain.ErrEndpointDisabled
	}
	return w.Deliveries.UpdateDelivery(ctx, deliveryID, func(d *domain.Delivery) error {
		if d.EndpointID != endpointID {
			return domain.ErrDeliveryMissing
		}
		d.Again(w.Now())
		return nil
	})
}

// ListEndpoints asks for a page of endpoints.
type ListEndpoints struct {
	// PageSize 0 is defaultPage.
	PageSize     int
	PageToken    string
	IncludeTotal bool
}

// EndpointPage is a page of endpoints.
type EndpointPage struct {
	Endpoints     []domain.Endpoint
	NextPageToken string
	// Total is how many there are in all, nil unless it was asked for.
	Total *int64
}

// endpointList names the list in its page tokens.
const endpointList = "webhook endpoints"

// List returns a page of endpoints, newest first.
func (w *Webhooks) List(ctx context.Context, l ListEndpoints) (EndpointPage, error) {
	var (
		page EndpointPage
		err  error
	)
	page.Endpoints, page.NextPageToken, err = pageOf(l.PageSize, l.PageToken, endpointList,
		func(after uuid.UUID, limit int) ([]domain.Endpoint, error) {
			return w.Reader.ListEndpoints(ctx, after, limit)
		},
		func(e domain.Endpoint) uuid.UUID { return e.ID })
	if err != nil || !l.IncludeTotal {
		return page, err
	}
	total, err := w.Reader.CountEndpoints(ctx)
	page.Total = &total
	return page, err
}

// ListDeliveries asks for a page of the deliveries of an endpoint.
type ListDeliveries struct {
	DeliveryFilter
	// PageSize 0 is defaultPage.
	PageSize     int
	PageToken    string
	IncludeTotal bool
}

// DeliveryPage is a page of deliveries.
type DeliveryPage struct {
	Deliveries    []domain.Delivery
	NextPageToken string
	// Total is how many there are in all, nil unless it was asked for.
	Total *int64
}

// ListDeliveries returns a page of what was sent to an endpoint and is to be, newest first.
func (w *Webhooks) ListDeliveries(ctx context.Context, l ListDeliveries) (DeliveryPage, error) {
	if _, err := w.Reader.Endpoint(ctx, l.EndpointID); err != nil {
		return DeliveryPage{}, err
	}
	var (
		page DeliveryPage
		err  error
	)
	page.Deliveries, page.NextPageToken, err = pageOf(l.PageSize, l.PageToken, l.DeliveryFilter,
		func(after uuid.UUID, limit int) ([]domain.Delivery, error) {
			return w.Log.ListDeliveries(ctx, l.DeliveryFilter, after, limit)
		},
		func(d domain.Delivery) uuid.UUID { return d.ID })
	if err != nil || !l.IncludeTotal {
		return page, err
	}
	total, err := w.Log.CountDeliveries(ctx, l.DeliveryFilter)
	page.Total = &total
	return page, err
}

// pageOf returns a page of a list by ids, and the token of the next one. The list says in its tokens which one it is.
func pageOf[T any](size int, token string, list any, read func(after uuid.UUID, limit int) ([]T, error), id func(T) uuid.UUID) ([]T, string, error) {
	if size == 0 {
		size = defaultPage
	}
	var after uuid.UUID
	if token != "" {
		if err := pagetoken.Decode(token, list, &after); err != nil {
			return nil, "", err
		}
	}
	// One more than the page holds tells whether there is another one.
	all, err := read(after, size+1)
	if err != nil || len(all) <= size {
		return all, "", err
	}
	next, err := pagetoken.Encode(list, id(all[size-1]))
	return all[:size], next, err
}
