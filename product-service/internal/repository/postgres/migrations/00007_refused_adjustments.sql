-- +goose Up

-- Adjustments that the stock did not allow, by their keys: the key goes on belonging to the refusal, as that of an adjustment
-- that was made belongs to its entry in the ledger. The stock is as it was then.
CREATE TABLE refused_adjustments (
    actor           text        NOT NULL,
    idempotency_key text        NOT NULL,
    product_id      uuid        NOT NULL,
    delta           bigint      NOT NULL,
    reason          text        NOT NULL,
    on_hand         bigint      NOT NULL,
    reserved        bigint      NOT NULL,
    at              timestamptz NOT NULL,
    CONSTRAINT refused_adjustments_pkey PRIMARY KEY (actor, idempotency_key)
);
CREATE INDEX refused_adjustments_old ON refused_adjustments (at);

-- +goose Down

DROP TABLE refused_adjustments;
