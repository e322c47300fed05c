-- +goose Up
CREATE TABLE addresses (
    -- A UUIDv7: the order of ids is that of adding.
    id          uuid    NOT NULL CONSTRAINT addresses_pkey PRIMARY KEY,
    user_id     uuid    NOT NULL CONSTRAINT addresses_user_fkey REFERENCES users (id) ON DELETE CASCADE,
    label       text    NOT NULL,
    recipient   text    NOT NULL,
    line1       text    NOT NULL,
    line2       text    NOT NULL,
    city        text    NOT NULL,
    region      text    NOT NULL,
    postal_code text    NOT NULL,
    country     text    NOT NULL,
    phone       text    NOT NULL,
    is_default  boolean NOT NULL,
    CONSTRAINT addresses_label_length CHECK (char_length(label) <= 100),
    CONSTRAINT addresses_recipient_length CHECK (char_length(recipient) BETWEEN 1 AND 200),
    CONSTRAINT addresses_line1_length CHECK (char_length(line1) BETWEEN 1 AND 200),
    CONSTRAINT addresses_line2_length CHECK (char_length(line2) <= 200),
    CONSTRAINT addresses_city_length CHECK (char_length(city) BETWEEN 1 AND 100),
    CONSTRAINT addresses_region_length CHECK (char_length(region) <= 100),
    CONSTRAINT addresses_postal_code_length CHECK (char_length(postal_code) <= 20),
    CONSTRAINT addresses_country_form CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT addresses_phone_form CHECK (phone ~ '^[0-9 +().\-/]{0,40}$')
);
-- A user's addresses, the oldest first, and the cascade of a deleted user.
CREATE INDEX addresses_by_user ON addresses (user_id, id);
-- Nobody has two default ones.
CREATE UNIQUE INDEX addresses_one_default ON addresses (user_id) WHERE is_default;

-- +goose Down
DROP TABLE addresses;
