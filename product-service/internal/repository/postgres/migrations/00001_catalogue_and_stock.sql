-- +goose Up

-- Similarity of words, for small typos. It is a trusted extension: the owner of the database may create it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE categories (
    id          uuid   NOT NULL CONSTRAINT categories_pkey PRIMARY KEY,
    slug        text   NOT NULL CONSTRAINT categories_slug_key UNIQUE,
    name        text   NOT NULL CONSTRAINT categories_name_filled CHECK (name <> ''),
    description text   NOT NULL DEFAULT '',
    parent_id   uuid   CONSTRAINT categories_parent_fkey REFERENCES categories (id),
    version     bigint NOT NULL DEFAULT 1,
    CONSTRAINT categories_parent_is_another CHECK (parent_id <> id)
);
CREATE INDEX categories_parent ON categories (parent_id);

-- What is searched and sorted by is folded by the service (lower case, no marks, words with one space between them), so
-- that the database need not know the rules of the shop's languages.
CREATE TABLE products (
    id                uuid        NOT NULL CONSTRAINT products_pkey PRIMARY KEY,
    sku               text        NOT NULL CONSTRAINT products_sku_key UNIQUE,
    slug              text        NOT NULL CONSTRAINT products_slug_key UNIQUE,
    name              text        NOT NULL CONSTRAINT products_name_filled CHECK (name <> ''),
    short_description text        NOT NULL DEFAULT '',
    description       text        NOT NULL DEFAULT '',
    price_amount      bigint      NOT NULL CONSTRAINT products_price_not_negative CHECK (price_amount >= 0),
    price_currency    text        NOT NULL CONSTRAINT products_price_currency_iso CHECK (price_currency ~ '^[A-Z]{3}$'),
    images            jsonb       NOT NULL DEFAULT '[]',
    attributes        jsonb       NOT NULL DEFAULT '{}',
    status            text        NOT NULL CONSTRAINT products_status_known CHECK (status IN ('draft', 'active', 'archived')),
    version           bigint      NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    folded_name       text        NOT NULL COLLATE "C",
    folded_text       text        NOT NULL,
    search            tsvector    NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', folded_name), 'A') || setweight(to_tsvector('simple', folded_text), 'C')) STORED
);
-- One for each order of the list; descending prices read theirs backwards.
CREATE INDEX products_by_newest ON products (created_at DESC, id DESC) WHERE status = 'active';
CREATE INDEX products_by_price ON products (price_amount, id) WHERE status = 'active';
CREATE INDEX products_by_name ON products (folded_name, id) WHERE status = 'active';
CREATE INDEX products_search ON products USING gin (search);
CREATE INDEX products_similar ON products USING gin (folded_name gin_trgm_ops);

CREATE TABLE product_categories (
    product_id  uuid     NOT NULL CONSTRAINT product_categories_product_fkey REFERENCES products (id) ON DELETE CASCADE,
    category_id uuid     NOT NULL CONSTRAINT product_categories_category_fkey REFERENCES categories (id),
    position    smallint NOT NULL,
    CONSTRAINT product_categories_pkey PRIMARY KEY (product_id, category_id)
);
CREATE INDEX product_categories_category ON product_categories (category_id, product_id);

CREATE TABLE stock (
    product_id uuid   NOT NULL CONSTRAINT stock_pkey PRIMARY KEY CONSTRAINT stock_product_fkey REFERENCES products (id),
    on_hand    bigint NOT NULL DEFAULT 0,
    reserved   bigint NOT NULL DEFAULT 0,
    CONSTRAINT stock_never_oversold CHECK (on_hand >= reserved AND reserved >= 0)
) WITH (fillfactor = 70); -- room for the next versions of a hot row on its own page

CREATE TABLE reservations (
    order_id   uuid        NOT NULL CONSTRAINT reservations_pkey PRIMARY KEY,
    status     text        NOT NULL CONSTRAINT reservations_status_known CHECK (status IN ('active', 'confirmed', 'released', 'expired')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX reservations_by_expiry ON reservations (expires_at) WHERE status = 'active';

CREATE TABLE reservation_lines (
    order_id   uuid     NOT NULL CONSTRAINT reservation_lines_order_fkey REFERENCES reservations (order_id),
    position   smallint NOT NULL,
    product_id uuid     NOT NULL CONSTRAINT reservation_lines_product_fkey REFERENCES products (id),
    quantity   bigint   NOT NULL CONSTRAINT reservation_lines_quantity_positive CHECK (quantity > 0),
    CONSTRAINT reservation_lines_pkey PRIMARY KEY (order_id, product_id)
);

-- Every change of what is on hand. The sum of a product's deltas is its on_hand.
CREATE TABLE stock_ledger (
    id              uuid        NOT NULL CONSTRAINT stock_ledger_pkey PRIMARY KEY,
    product_id      uuid        NOT NULL CONSTRAINT stock_ledger_product_fkey REFERENCES products (id),
    delta           bigint      NOT NULL CONSTRAINT stock_ledger_delta_moves CHECK (delta <> 0),
    reason          text        NOT NULL,
    reference       text        NOT NULL DEFAULT '',
    actor           text        NOT NULL,
    idempotency_key text,
    on_hand_after   bigint      NOT NULL,
    reserved_after  bigint      NOT NULL,
    at              timestamptz NOT NULL,
    CONSTRAINT stock_ledger_key_once UNIQUE (actor, idempotency_key)
);
CREATE INDEX stock_ledger_by_product ON stock_ledger (product_id, at DESC, id DESC);

-- The products whose name holds something like a word. 0.42 finds two swapped letters in a word of six; with 0.4, "lamp"
-- would find "camp". In words of less than four letters a typo leaves too little to go by. As the threshold is a setting
-- of the session, it is set by a function.
-- +goose StatementBegin
CREATE FUNCTION products_like(word text) RETURNS SETOF uuid
    LANGUAGE sql STABLE ROWS 20 SET pg_trgm.word_similarity_threshold = 0.42 AS
$$ SELECT id FROM products WHERE word <% folded_name AND length(word) >= 4 $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION products_like(text);
DROP TABLE stock_ledger, reservation_lines, reservations, stock, product_categories, products, categories;
