-- +goose Up

ALTER TABLE orders
    ADD COLUMN tracking            text   NOT NULL DEFAULT '',
    -- What refunds have given back, or are about to.
    ADD COLUMN refunded            bigint NOT NULL DEFAULT 0,
    -- The attempt (see attempts) that has begun to pay; null if it had no key.
    ADD COLUMN payment_request     uuid,
    -- Since when a paid order waits for pieces that there are not: null if it does not.
    ADD COLUMN stock_missing_since timestamptz;

-- The last net: nobody gives back more than was paid.
ALTER TABLE orders ADD CONSTRAINT orders_refunded_within_total CHECK (refunded >= 0 AND refunded <= total);

CREATE TABLE order_refunds (
    order_id  uuid        NOT NULL,
    position  integer     NOT NULL,
    id        uuid        NOT NULL,
    status    text        NOT NULL,
    amount    bigint      NOT NULL,
    items     jsonb       NOT NULL, -- what it was given back for: it is shown and counted, never searched
    reason    text        NOT NULL,
    restock   boolean     NOT NULL,
    restocked boolean     NOT NULL,
    by        text        NOT NULL,
    at        timestamptz NOT NULL,
    CONSTRAINT order_refunds_pkey PRIMARY KEY (order_id, position),
    CONSTRAINT order_refunds_id_key UNIQUE (id),
    CONSTRAINT order_refunds_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
    CONSTRAINT order_refunds_status_known CHECK (status IN ('pending', 'done', 'failed')),
    CONSTRAINT order_refunds_amount_positive CHECK (amount > 0)
);

-- A key may be used for whatever is done with an order, so an order has many attempts. The one that made it bears its id.
ALTER TABLE attempts
    ADD COLUMN id         uuid,
    -- Until when somebody works on it; null if nobody does. An order that is being made has its lease instead.
    ADD COLUMN held_until timestamptz;
UPDATE attempts SET id = order_id;
ALTER TABLE attempts
    ALTER COLUMN id SET NOT NULL,
    ADD CONSTRAINT attempts_id_key UNIQUE (id),
    DROP CONSTRAINT attempts_order_key;

-- +goose Down

DELETE FROM attempts WHERE id <> order_id;
ALTER TABLE attempts
    ADD CONSTRAINT attempts_order_key UNIQUE (order_id),
    DROP COLUMN held_until,
    DROP COLUMN id;
DROP TABLE order_refunds;
ALTER TABLE orders
    DROP COLUMN stock_missing_since,
    DROP COLUMN payment_request,
    DROP COLUMN refunded,
    DROP COLUMN tracking;
