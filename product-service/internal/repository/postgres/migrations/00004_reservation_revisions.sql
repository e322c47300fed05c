-- +goose Up

-- Which of those who change an order has reserved last: what comes later from an earlier one changes nothing.
ALTER TABLE reservations ADD COLUMN revision bigint NOT NULL DEFAULT 0;

-- +goose Down

ALTER TABLE reservations DROP COLUMN revision;
