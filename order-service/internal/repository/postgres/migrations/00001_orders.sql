-- +goose Up

CREATE TABLE orders (
    id                 uuid        NOT NULL,
    number             text        NOT NULL,
    user_id            uuid        NOT NULL,
    status             text        NOT NULL,
    currency           text        NOT NULL,
    subtotal           bigint      NOT NULL,
    discount           bigint      NOT NULL,
    shipping           bigint      NOT NULL,
    total              bigint      NOT NULL,
    address            jsonb       NOT NULL, -- a snapshot: it is shown, never searched
    shipping_method    text        NOT NULL,
    coupon_code        text        NOT NULL DEFAULT '',
    payment_status     text        NOT NULL,
    payment_method     text        NOT NULL,
    payment_provider   text        NOT NULL DEFAULT '',
    payment_reference  text        NOT NULL DEFAULT '',
    payment_attempt    integer     NOT NULL,
    payment_checkout   boolean     NOT NULL,
    from_cart          boolean     NOT NULL,
    version            bigint      NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    -- Who may drive the order: each lease has a number of its own, so that one who was overtaken notices.
    lease_epoch        bigint      NOT NULL DEFAULT 0,
    lease_until        timestamptz,
    -- The job that looks at the order next.
    settle_job         bigint,
    CONSTRAINT orders_pkey PRIMARY KEY (id),
    CONSTRAINT orders_number_key UNIQUE (number),
    CONSTRAINT orders_status_known CHECK (status IN
        ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'cancelled', 'refunded')),
    CONSTRAINT orders_payment_status_known CHECK (payment_status IN
        ('none', 'pending', 'authorized', 'captured', 'voided', 'partially_refunded', 'refunded', 'failed')),
    CONSTRAINT orders_payment_method_known CHECK (payment_method IN ('card', 'cash_on_delivery')),
    CONSTRAINT orders_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT orders_amounts_not_negative CHECK (subtotal >= 0 AND discount >= 0 AND shipping >= 0 AND total >= 0),
    CONSTRAINT orders_total_adds_up CHECK (total = subtotal - discount + shipping),
    CONSTRAINT orders_attempt_not_negative CHECK (payment_attempt >= 0)
);

-- Ids are UUIDv7: their order is that of creation.
CREATE INDEX orders_user ON orders (user_id, id DESC);
CREATE INDEX orders_status ON orders (status, id DESC);

CREATE TABLE order_items (
    order_id   uuid    NOT NULL,
    position   integer NOT NULL,
    id         uuid    NOT NULL,
    product_id uuid    NOT NULL,
    sku        text    NOT NULL,
    name       text    NOT NULL,
    quantity   bigint  NOT NULL,
    unit_price bigint  NOT NULL,
    line_total bigint  NOT NULL,
    CONSTRAINT order_items_pkey PRIMARY KEY (order_id, position),
    CONSTRAINT order_items_id_key UNIQUE (id),
    CONSTRAINT order_items_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
    CONSTRAINT order_items_one_line_a_product UNIQUE (order_id, product_id),
    CONSTRAINT order_items_quantity_positive CHECK (quantity > 0),
    CONSTRAINT order_items_price_not_negative CHECK (unit_price >= 0),
    CONSTRAINT order_items_total_adds_up CHECK (line_total = quantity * unit_price)
);

CREATE TABLE order_history (
    order_id uuid        NOT NULL,
    position integer     NOT NULL,
    status   text        NOT NULL,
    at       timestamptz NOT NULL,
    by       text        NOT NULL,
    note     text        NOT NULL,
    CONSTRAINT order_history_pkey PRIMARY KEY (order_id, position),
    CONSTRAINT order_history_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
);

-- One row for each use of an Idempotency-Key. It outlives an order that was discarded, hence no foreign key.
CREATE TABLE attempts (
    user_id     uuid        NOT NULL,
    key         text        NOT NULL,
    fingerprint text        NOT NULL,
    order_id    uuid        NOT NULL,
    outcome     jsonb,
    created_at  timestamptz NOT NULL,
    CONSTRAINT attempts_pkey PRIMARY KEY (user_id, key),
    CONSTRAINT attempts_order_key UNIQUE (order_id)
);

CREATE INDEX attempts_created ON attempts (created_at);

-- +goose Down

DROP TABLE attempts;
DROP TABLE order_history;
DROP TABLE order_items;
DROP TABLE orders;
