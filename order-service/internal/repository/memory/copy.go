package memory

import (
	"maps"
	"slices"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

func copySnapshot(o domain.Snapshot) domain.Snapshot {
	o.Items = slices.Clone(o.Items)
	o.History = slices.Clone(o.History)
	o.Refunds = slices.Clone(o.Refunds)
	for i := range o.Refunds {
		o.Refunds[i].Items = slices.Clone(o.Refunds[i].Items)
	}
	return o
}

func copyAttempt(a usecase.Attempt) usecase.Attempt {
	a.Outcome = copyOutcome(a.Outcome)
	return a
}

func copyOutcome(o *usecase.Outcome) *usecase.Outcome {
	if o == nil {
		return nil
	}
	c := &usecase.Outcome{Error: copyError(o.Error)}
	if o.Order != nil {
		order := copySnapshot(*o.Order)
		c.Order = &order
	}
	return c
}

// copyError leaves the cause behind: that is for the log of the process that met it.
func copyError(e *apperr.Error) *apperr.Error {
	if e == nil {
		return nil
	}
	c := apperr.New(e.Kind, e.Reason, e.Message)
	c.Attributes = maps.Clone(e.Attributes)
	c.Violations = slices.Clone(e.Violations)
	for i := range c.Violations {
		c.Violations[i].Attributes = maps.Clone(c.Violations[i].Attributes)
	}
	return c
}
