-- +goose Up
CREATE EXTENSION IF NOT EXISTS pg_trgm;

ALTER TABLE users ADD COLUMN role_changed_at timestamptz;
-- What those who verify access tokens ask for every 2 s.
CREATE INDEX users_by_role_change ON users (role_changed_at) WHERE role_changed_at IS NOT NULL;
-- What admins search by: any part of an address or of a name.
CREATE INDEX users_search ON users USING gin (email gin_trgm_ops, name gin_trgm_ops);
-- What admins filter by, the newest first: ids are UUIDv7, so they stand in the order of time.
CREATE INDEX users_by_role ON users (role, id);
CREATE INDEX users_by_status ON users (status, id);
-- What is locked before an admin leaves.
CREATE INDEX users_active_admins ON users (id) WHERE role = 'admin' AND status = 'active';

-- That a user was deleted, and nothing else of that user.
CREATE TABLE deleted_users (
    id         uuid        NOT NULL CONSTRAINT deleted_users_pkey PRIMARY KEY,
    deleted_at timestamptz NOT NULL
);
-- What those who verify access tokens ask for every 2 s, and what the housekeeping looks for.
CREATE INDEX deleted_users_by_time ON deleted_users (deleted_at);

ALTER TABLE sessions ADD CONSTRAINT sessions_end_reason_known
    CHECK (end_reason IN ('logout', 'refresh_token_reused', 'user_disabled', 'signed_out', 'password_changed'));
-- A user's sessions, in the order of the list, and the cascade of a deleted user.
DROP INDEX sessions_by_user;
CREATE INDEX sessions_by_user ON sessions (user_id, opened_at DESC, id DESC);

-- The token that a spent one was spent for, under a key that stands in no database: a client that lost the answer may have
-- it once more.
ALTER TABLE refresh_tokens ADD COLUMN successor bytea;
ALTER TABLE refresh_tokens ADD CONSTRAINT refresh_tokens_successor_of_spent CHECK (successor IS NULL OR spent_at IS NOT NULL);
-- A session has one that may be repeated: its last. The housekeeping looks for them here too.
CREATE UNIQUE INDEX refresh_tokens_one_successor ON refresh_tokens (session_id) WHERE successor IS NOT NULL;

-- Guesses at passwords. One row for an account in a network, for an account in all ('*'), and for a network with all accounts.
CREATE TABLE login_throttle (
    -- SHA-256 of an address in hex, or '*'.
    account     text        NOT NULL,
    -- An IPv4 address, an IPv6 /64, empty, or '*'.
    network     text        NOT NULL,
    free_at     timestamptz NOT NULL,
    -- Until when the network counts as the account's own.
    known_until timestamptz,
    CONSTRAINT login_throttle_pkey PRIMARY KEY (account, network),
    CONSTRAINT login_throttle_account_hashed CHECK (account = '*' OR account ~ '^[0-9a-f]{64}$')
);
-- What the housekeeping looks for.
CREATE INDEX login_throttle_by_end ON login_throttle (greatest(free_at, known_until));

-- +goose Down
DROP TABLE login_throttle;
DROP INDEX refresh_tokens_one_successor;
ALTER TABLE refresh_tokens DROP COLUMN successor;
DROP INDEX sessions_by_user;
CREATE INDEX sessions_by_user ON sessions (user_id, last_used_at DESC);
ALTER TABLE sessions DROP CONSTRAINT sessions_end_reason_known;
DROP TABLE deleted_users;
DROP INDEX users_active_admins;
DROP INDEX users_by_status;
DROP INDEX users_by_role;
DROP INDEX users_search;
ALTER TABLE users DROP COLUMN role_changed_at;
