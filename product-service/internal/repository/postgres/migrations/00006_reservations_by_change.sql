-- +goose Up

-- For whoever compares reservations with orders, a span of time after the other.
CREATE INDEX reservations_by_change ON reservations (updated_at, order_id);

-- +goose Down

DROP INDEX reservations_by_change;
