// Package job is what is left to do, as it is written down: the arguments of the background jobs, and the trace that they
// belong to.
package job

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// forever is more tries than there will ever be (the column holds a 16-bit number), for workers put off what has failed for long:
// what goes on counting is panics, and workers that died. So an order is never given up.
const forever = 30_000

// Settle asks for usecase.Checkout.Settle.
type Settle struct {
	OrderID uuid.UUID `json:"order_id"`
}

// Kind names the job in the database: it must stay as it is.
func (Settle) Kind() string { return "settle_order" }

// InsertOpts makes the job outlast any outage.
func (Settle) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: forever} }

// CheckPayments asks for usecase.Checkout.CheckPayments.
type CheckPayments struct {
	OrderID uuid.UUID `json:"order_id"`
}

// Kind names the job in the database: it must stay as it is.
func (CheckPayments) Kind() string { return "check_payments" }

// InsertOpts makes the job outlast any outage.
func (CheckPayments) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: forever} }

// SweepAttempts asks to forget old Idempotency-Keys.
type SweepAttempts struct{}

// Kind names the job in the database: it must stay as it is.
func (SweepAttempts) Kind() string { return "sweep_attempts" }
