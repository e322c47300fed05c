-- +goose Up

CREATE TABLE coupons (
    id                    uuid        NOT NULL,
    code                  text        NOT NULL, -- in capitals
    type                  text        NOT NULL,
    value                 bigint      NOT NULL,
    -- 0 in a limit means that there is none.
    min_subtotal          bigint      NOT NULL,
    max_uses              bigint      NOT NULL,
    max_uses_per_customer bigint      NOT NULL,
    starts_at             timestamptz,
    ends_at               timestamptz,
    status                text        NOT NULL,
    -- How many rows of coupon_uses there are, so that who takes one need not count them.
    uses                  bigint      NOT NULL DEFAULT 0,
    version               bigint      NOT NULL,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    deleted_at            timestamptz,
    CONSTRAINT coupons_pkey PRIMARY KEY (id),
    CONSTRAINT coupons_code_form CHECK (code ~ '^[A-Z0-9_-]{1,50}$'),
    CONSTRAINT coupons_type_and_value CHECK (
        type = 'percent' AND value BETWEEN 1 AND 100 OR type = 'fixed' AND value > 0 OR type = 'free_shipping' AND value = 0),
    CONSTRAINT coupons_status_known CHECK (status IN ('active', 'disabled')),
    CONSTRAINT coupons_limits_not_negative CHECK (min_subtotal >= 0 AND max_uses >= 0 AND max_uses_per_customer >= 0),
    CONSTRAINT coupons_ends_after_start CHECK (ends_at > starts_at),
    CONSTRAINT coupons_uses_not_negative CHECK (uses >= 0)
) WITH (fillfactor = 70); -- room for the next versions of a row that many use on its own page

-- The code of a deleted coupon is free again.
CREATE UNIQUE INDEX coupons_code_key ON coupons (code) WHERE deleted_at IS NULL;

-- One row for each order that has used a coupon and was not cancelled.
CREATE TABLE coupon_uses (
    order_id  uuid NOT NULL,
    coupon_id uuid NOT NULL,
    user_id   uuid NOT NULL,
    CONSTRAINT coupon_uses_pkey PRIMARY KEY (order_id),
    CONSTRAINT coupon_uses_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT coupon_uses_coupon_fkey FOREIGN KEY (coupon_id) REFERENCES coupons (id)
);

CREATE INDEX coupon_uses_customer ON coupon_uses (coupon_id, user_id);

-- What the coupon gives, as it was when the order was placed: a snapshot, which is read and never searched.
ALTER TABLE orders ADD COLUMN coupon jsonb NOT NULL DEFAULT '{}';

ALTER TABLE order_items ADD COLUMN grams bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT order_items_grams_not_negative CHECK (grams >= 0);

-- +goose Down

ALTER TABLE order_items DROP COLUMN grams;
ALTER TABLE orders DROP COLUMN coupon;
DROP TABLE coupon_uses;
DROP TABLE coupons;
