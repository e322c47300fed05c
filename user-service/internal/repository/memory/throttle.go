package memory

import (
	"context"
	"time"

	"shop.example/user-service/internal/domain"
)

// ReadMeters returns what is kept of the meters, in their order.
func (s *Store) ReadMeters(_ context.Context, meters []domain.Meter) ([]domain.MeterReading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	readings := make([]domain.MeterReading, len(meters))
	for i, m := range meters {
		readings[i].MeterState = s.meters[m.Key]
	}
	return readings, nil
}

// ChargeMeters counts a guess on each of the meters that takes one more, and returns what is kept of them then, in their order.
func (s *Store) ChargeMeters(_ context.Context, meters []domain.Meter, now time.Time) ([]domain.MeterReading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	readings := make([]domain.MeterReading, len(meters))
	for i, m := range meters {
		state, charged := m.Charge(s.meters[m.Key], now)
		s.meters[m.Key] = state
		readings[i] = domain.MeterReading{MeterState: state, Charged: charged}
	}
	return readings, nil
}

// ReturnGuesses takes one guess off each of the meters.
func (s *Store) ReturnGuesses(_ context.Context, meters []domain.Meter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.returnGuesses(meters)
	return nil
}

// RecordSignIn empties the meter of an account in a network, which the account is known in until a time, and takes one guess
// off each of the others.
func (s *Store) RecordSignIn(_ context.Context, pair domain.Meter, others []domain.Meter, now, knownUntil time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meters[pair.Key] = domain.MeterState{FreeAt: now, KnownUntil: knownUntil}
	s.returnGuesses(others)
	return nil
}

func (s *Store) returnGuesses(meters []domain.Meter) {
	for _, m := range meters {
		if state, ok := s.meters[m.Key]; ok {
			state.FreeAt = state.FreeAt.Add(-m.Every)
			s.meters[m.Key] = state
		}
	}
}
