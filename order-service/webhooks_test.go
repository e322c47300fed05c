package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// HangingStore answers when it is told to, and counts who waits for it.
type HangingStore struct {
	waiting atomic.Int32
	answer  chan struct{}
}

func (s *HangingStore) hang() {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	<-s.answer
}

func (s *HangingStore) Outgoing(context.Context, uuid.UUID) (usecase.Outgoing, error) {
	s.hang()
	return usecase.Outgoing{}, nil
}

func (s *HangingStore) UpdateDelivery(context.Context, uuid.UUID, func(*domain.Delivery) error) (domain.Delivery, error) {
	s.hang()
	return domain.Delivery{}, nil
}

func (s *HangingStore) UpdateEndpoint(context.Context, uuid.UUID, func(*domain.Endpoint) error) (domain.Endpoint, error) {
	s.hang()
	return domain.Endpoint{}, nil
}

// However many events are sent, they leave most of the database's connections to customers.
func TestSendingTakesFewConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &HangingStore{answer: make(chan struct{})}
		few := fewAtOnce{sendingStore: store, turns: make(chan struct{}, sendingConns)}
		var ended atomic.Int32
		for range 10 {
			for _, call := range []func() error{
				func() error { _, err := few.Outgoing(t.Context(), uuid.Nil); return err },
				func() error { _, err := few.UpdateDelivery(t.Context(), uuid.Nil, nil); return err },
				func() error { _, err := few.UpdateEndpoint(t.Context(), uuid.Nil, nil); return err },
			} {
				go func() {
					if err := call(); err != nil {
						t.Error(err)
					}
					ended.Add(1)
				}()
			}
		}
		synctest.Wait()
		if n := store.waiting.Load(); n != sendingConns {
			t.Errorf("%d calls are under way, want %d", n, sendingConns)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := few.Outgoing(ctx, uuid.Nil); !errors.Is(err, context.Canceled) {
			t.Errorf("whose time is up: %v", err)
		}
		close(store.answer)
		synctest.Wait()
		if n := ended.Load(); n != 30 {
			t.Errorf("%d calls came to an end, want 30", n)
		}
	})
}
