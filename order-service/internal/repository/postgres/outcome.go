package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// outcome is an outcome as it is kept. Its members may be added to, and not be renamed: kept ones must stay readable.
type outcome struct {
	Order *orderOutcome `json:"order,omitempty"`
	Error *errorOutcome `json:"error,omitempty"`
}

// orderOutcome is a snapshot whose amounts stand beside it, because money has no JSON of its own.
type orderOutcome struct {
	domain.Snapshot
	Currency string
	Subtotal int64
	Discount int64
	Shipping int64
	Total    int64
	Items    []itemOutcome
	Refunds  []refundOutcome
}

type refundOutcome struct {
	domain.Refund
	Amount int64
}

type itemOutcome struct {
	domain.Item
	UnitPrice int64
	LineTotal int64
}

type errorOutcome struct {
	Kind       string
	Reason     string
	Message    string
	Violations []apperr.Violation `json:",omitempty"`
	Attributes map[string]any     `json:",omitempty"`
}

// keepOutcome stores how attempts ended, the first time.
func keepOutcome(ctx context.Context, tx pgx.Tx, attempts []uuid.UUID, o *usecase.Outcome) error {
	raw, err := encodeOutcome(o)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE attempts SET outcome = $2, held_until = NULL WHERE id = ANY ($1) AND outcome IS NULL`, attempts, raw); err != nil {
		return fmt.Errorf("keep the outcome: %w", err)
	}
	return nil
}

func encodeOutcome(o *usecase.Outcome) ([]byte, error) {
	var kept outcome
	if s := o.Order; s != nil {
		kept.Order = &orderOutcome{
			Snapshot: *s, Currency: s.Total.Currency(), Subtotal: s.Subtotal.Amount(), Discount: s.Discount.Amount(),
			Shipping: s.Shipping.Amount(), Total: s.Total.Amount(),
		}
		for _, item := range s.Items {
			kept.Order.Items = append(kept.Order.Items, itemOutcome{item, item.UnitPrice.Amount(), item.LineTotal.Amount()})
		}
	}
	if s := o.Order; s != nil {
		for _, refund := range s.Refunds {
			kept.Order.Refunds = append(kept.Order.Refunds, refundOutcome{refund, refund.Amount.Amount()})
		}
	}
	if e := o.Error; e != nil {
		kept.Error = &errorOutcome{e.Kind.String(), e.Reason, e.Message, e.Violations, e.Attributes}
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("write the outcome: %w", err)
	}
	return raw, nil
}

func decodeOutcome(raw []byte) (*usecase.Outcome, error) {
	var kept outcome
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // attributes are integers, never floats
	if err := decoder.Decode(&kept); err != nil {
		return nil, fmt.Errorf("read the outcome: %w", err)
	}
	if e := kept.Error; e != nil {
		kind, ok := apperr.ParseKind(e.Kind)
		if !ok {
			return nil, fmt.Errorf("read the outcome: there is no kind %q", e.Kind)
		}
		restored := apperr.New(kind, e.Reason, e.Message)
		restored.Attributes = integers(e.Attributes)
		for _, v := range e.Violations {
			v.Attributes = integers(v.Attributes)
			restored = restored.With(v)
		}
		return &usecase.Outcome{Error: restored}, nil
	}
	s := kept.Order.Snapshot
	amounts := amounts{kept.Order.Currency, kept.Order.Subtotal, kept.Order.Discount, kept.Order.Shipping, kept.Order.Total}
	if err := amounts.set(&s); err != nil {
		return nil, err
	}
	s.Items = nil
	for _, item := range kept.Order.Items {
		var err error
		if item.Item.UnitPrice, err = money.New(item.UnitPrice, amounts.currency); err != nil {
			return nil, fmt.Errorf("read the outcome: %w", err)
		}
		if item.Item.LineTotal, err = money.New(item.LineTotal, amounts.currency); err != nil {
			return nil, fmt.Errorf("read the outcome: %w", err)
		}
		s.Items = append(s.Items, item.Item)
	}
	s.Refunds = nil
	for _, refund := range kept.Order.Refunds {
		var err error
		if refund.Refund.Amount, err = money.New(refund.Amount, amounts.currency); err != nil {
			return nil, fmt.Errorf("read the outcome: %w", err)
		}
		s.Refunds = append(s.Refunds, refund.Refund)
	}
	return &usecase.Outcome{Order: &s}, nil
}

// integers makes int64 of numbers again.
func integers(attributes map[string]any) map[string]any {
	for name, value := range attributes {
		if number, ok := value.(json.Number); ok {
			if n, err := number.Int64(); err == nil {
				attributes[name] = n
			}
		}
	}
	return attributes
}
