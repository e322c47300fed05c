-- +goose Up

ALTER TABLE products
    ADD COLUMN discount_type      text,
    ADD COLUMN discount_value     bigint,
    ADD COLUMN discount_starts_at timestamptz,
    ADD COLUMN discount_ends_at   timestamptz,
    ADD CONSTRAINT products_discount_sound CHECK (
        num_nulls(discount_type, discount_value) IN (0, 2)
        AND (discount_type IS NOT NULL OR num_nonnulls(discount_starts_at, discount_ends_at) = 0)
        AND discount_type IN ('percent', 'fixed')
        AND discount_value >= 1
        AND (discount_type <> 'percent' OR discount_value <= 100)
        AND (discount_ends_at IS NULL OR discount_starts_at IS NULL OR discount_ends_at > discount_starts_at));

-- The order in which the entries of a product took effect. They are made under the lock of its stock, so for one product the
-- numbers rise as the transactions commit; the clocks of several replicas would not. Nobody outside ever sees them.
ALTER TABLE stock_ledger ADD COLUMN position bigint GENERATED ALWAYS AS IDENTITY;
DROP INDEX stock_ledger_by_product;
CREATE INDEX stock_ledger_by_product ON stock_ledger (product_id, position DESC);

-- What is forgotten some day. Confirmed reservations are not in it: they are kept.
CREATE INDEX reservations_over ON reservations (updated_at) WHERE status IN ('released', 'expired');

-- How many active products are in exactly these categories, sorted by id. Shops have few such sets, however many products;
-- so the counts of the whole tree are summed up in no time, and a move in the tree changes nothing here. Whoever writes
-- products adds the differences in the same transaction.
CREATE TABLE category_sets (
    category_ids uuid[] NOT NULL CONSTRAINT category_sets_pkey PRIMARY KEY,
    products     bigint NOT NULL
);

-- For products that came in by another way, such as a bulk load. The lock waits for those who are writing.
-- +goose StatementBegin
CREATE FUNCTION recount_category_sets() RETURNS void LANGUAGE sql AS $$
    LOCK TABLE category_sets IN EXCLUSIVE MODE;
    DELETE FROM category_sets;
    INSERT INTO category_sets
    SELECT s.category_ids, count(*)
    FROM (SELECT array_agg(pc.category_id ORDER BY pc.category_id) AS category_ids
          FROM product_categories pc JOIN products p ON p.id = pc.product_id
          WHERE p.status = 'active' GROUP BY pc.product_id) s
    GROUP BY s.category_ids;
$$;
-- +goose StatementEnd
SELECT recount_category_sets();

-- +goose Down
DROP FUNCTION recount_category_sets();
DROP TABLE category_sets;
DROP INDEX reservations_over;
DROP INDEX stock_ledger_by_product;
ALTER TABLE stock_ledger DROP COLUMN position;
CREATE INDEX stock_ledger_by_product ON stock_ledger (product_id, at DESC, id DESC);
ALTER TABLE products
    DROP COLUMN discount_type, DROP COLUMN discount_value, DROP COLUMN discount_starts_at, DROP COLUMN discount_ends_at;
