-- +goose Up

-- Lists of a category read it in their own order, however many other products there are: what they are sorted by is beside
-- the category. Whoever writes products keeps it.
ALTER TABLE product_categories
    ADD COLUMN active       boolean,
    ADD COLUMN created_at   timestamptz,
    ADD COLUMN price_amount bigint,
    ADD COLUMN folded_name  text COLLATE "C";
UPDATE product_categories pc
SET active = p.status = 'active', created_at = p.created_at, price_amount = p.price_amount, folded_name = p.folded_name
FROM products p WHERE p.id = pc.product_id;
ALTER TABLE product_categories
    ALTER COLUMN active SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN price_amount SET NOT NULL,
    ALTER COLUMN folded_name SET NOT NULL;
DROP INDEX product_categories_category;
-- Inactive ones are in the first, which speaks for a category that is to be deleted.
CREATE INDEX product_categories_by_newest ON product_categories (category_id, active, created_at DESC, product_id DESC);
CREATE INDEX product_categories_by_price ON product_categories (category_id, price_amount, product_id) WHERE active;
CREATE INDEX product_categories_by_name ON product_categories (category_id, folded_name, product_id) WHERE active;

-- What was imported last has no stock yet, and what is old has none anymore: lists of the newest with or without stock read
-- the stock in that order. Updates of the stock stay on their page (HOT) as long as they don't change what is available.
ALTER TABLE stock
    ADD COLUMN available  boolean NOT NULL GENERATED ALWAYS AS (on_hand > reserved) STORED,
    ADD COLUMN created_at timestamptz; -- the product's, which never changes
UPDATE stock s SET created_at = p.created_at FROM products p WHERE p.id = s.product_id;
ALTER TABLE stock ALTER COLUMN created_at SET NOT NULL;
CREATE INDEX stock_by_newest ON stock (available, created_at DESC, product_id DESC);

-- Words in names are told from words elsewhere by an index of their own: a GIN index knows no weights.
ALTER TABLE products ADD COLUMN search_name tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', folded_name)) STORED;
CREATE INDEX products_search_name ON products USING gin (search_name);

-- Typos are corrected to words that products have, which are few however many the products; internal/domain/words.go says
-- which are worth it. A word that no product has anymore stays, and finds nothing.
DROP FUNCTION products_like(text);
DROP INDEX products_similar;
CREATE TABLE words (word text COLLATE "C" NOT NULL CONSTRAINT words_pkey PRIMARY KEY);
-- +goose StatementBegin
CREATE FUNCTION relearn_words() RETURNS void LANGUAGE sql AS $$
    INSERT INTO words
    SELECT DISTINCT w.word
    FROM products p CROSS JOIN LATERAL string_to_table(p.folded_name || ' ' || p.folded_text, ' ') AS w(word)
    WHERE length(w.word) >= 4 AND octet_length(w.word) <= 32 AND w.word !~ '[0-9]'
    ON CONFLICT DO NOTHING;
$$;
-- +goose StatementEnd
SELECT relearn_words();
CREATE INDEX words_similar ON words USING gin (word gin_trgm_ops);

-- Active products without a category are counted too, in the empty set: the total of the list of all.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION recount_category_sets() RETURNS void LANGUAGE sql AS $$
    LOCK TABLE category_sets IN EXCLUSIVE MODE;
    DELETE FROM category_sets;
    INSERT INTO category_sets
    SELECT s.category_ids, count(*)
    FROM (SELECT ARRAY(SELECT pc.category_id FROM product_categories pc WHERE pc.product_id = p.id ORDER BY pc.category_id) AS category_ids
          FROM products p WHERE p.status = 'active') s
    GROUP BY s.category_ids;
$$;
-- +goose StatementEnd
SELECT recount_category_sets();

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION recount_category_sets() RETURNS void LANGUAGE sql AS $$
    LOCK TABLE category_sets IN EXCLUSIVE MODE;
    DELETE FROM category_sets;
    INSERT INTO category_sets
    SELECT s.category_ids, count(*)
    FROM (SELECT array_agg(pc.category_id ORDER BY pc.category_id) AS category_ids
          FROM product_categories pc JOIN products p ON p.id = pc.product_id
          WHERE p.status = 'active' GROUP BY pc.product_id) s
    GROUP BY s.category_ids;
$$;
CREATE FUNCTION products_like(word text) RETURNS SETOF uuid
    LANGUAGE sql STABLE ROWS 20 SET pg_trgm.word_similarity_threshold = 0.42 AS
$$ SELECT id FROM products WHERE word <% folded_name AND length(word) >= 4 $$;
-- +goose StatementEnd
DELETE FROM category_sets WHERE category_ids = '{}';
DROP FUNCTION relearn_words();
DROP TABLE words;
CREATE INDEX products_similar ON products USING gin (folded_name gin_trgm_ops);
ALTER TABLE products DROP COLUMN search_name;
ALTER TABLE stock DROP COLUMN available, DROP COLUMN created_at;
DROP INDEX product_categories_by_newest;
ALTER TABLE product_categories
    DROP COLUMN active, DROP COLUMN created_at, DROP COLUMN price_amount, DROP COLUMN folded_name;
CREATE INDEX product_categories_category ON product_categories (category_id, product_id);
