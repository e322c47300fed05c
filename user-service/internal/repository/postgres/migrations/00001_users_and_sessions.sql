-- +goose Up
CREATE TABLE users (
    id            uuid        NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
    -- Normalised by the domain: trimmed, in lower case, ASCII.
    email         text        NOT NULL,
    name          text        NOT NULL,
    role          text        NOT NULL,
    status        text        NOT NULL,
    -- A PHC string.
    password_hash text        NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT users_email_unique UNIQUE (email),
    CONSTRAINT users_email_normalised CHECK (email = lower(email COLLATE "C") AND email = btrim(email) AND length(email) BETWEEN 3 AND 254),
    CONSTRAINT users_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT users_role_known CHECK (role IN ('customer', 'staff', 'admin')),
    CONSTRAINT users_status_known CHECK (status IN ('active', 'disabled')),
    CONSTRAINT users_password_hashed CHECK (password_hash LIKE '$argon2id$%')
);

CREATE TABLE sessions (
    id           uuid        NOT NULL CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id      uuid        NOT NULL CONSTRAINT sessions_user_fkey REFERENCES users (id) ON DELETE CASCADE,
    user_agent   text        NOT NULL,
    ip           text        NOT NULL,
    opened_at    timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text,
    CONSTRAINT sessions_end_has_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT sessions_used_after_opened CHECK (last_used_at >= opened_at)
);
-- A user's sessions, newest first, and the cascade of a deleted user.
CREATE INDEX sessions_by_user ON sessions (user_id, last_used_at DESC);
-- What those who verify access tokens ask for every 2 s.
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;
-- What the housekeeping looks for.
CREATE INDEX sessions_by_last_use ON sessions (last_used_at);

CREATE TABLE refresh_tokens (
    -- SHA-256 of the token. The token itself is kept nowhere.
    hash       bytea       NOT NULL CONSTRAINT refresh_tokens_pkey PRIMARY KEY,
    session_id uuid        NOT NULL CONSTRAINT refresh_tokens_session_fkey REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at  timestamptz NOT NULL,
    spent_at   timestamptz,
    CONSTRAINT refresh_tokens_hash_length CHECK (octet_length(hash) = 32)
);
-- A session has one token that is not spent: a chain, not a tree.
CREATE UNIQUE INDEX refresh_tokens_one_unspent ON refresh_tokens (session_id) WHERE spent_at IS NULL;
-- For the cascade.
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
-- What the housekeeping looks for.
CREATE INDEX refresh_tokens_by_spending ON refresh_tokens (spent_at) WHERE spent_at IS NOT NULL;

-- +goose Down
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE users;
