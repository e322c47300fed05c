-- +goose Up
ALTER TABLE sessions DROP CONSTRAINT sessions_end_reason_known;
ALTER TABLE sessions ADD CONSTRAINT sessions_end_reason_known
    CHECK (end_reason IN ('logout', 'refresh_token_reused', 'user_disabled', 'signed_out', 'password_changed', 'limit_reached'));
-- A user's sessions that have not ended, the least recently used last: what ends when there are too many, or all at once.
CREATE INDEX sessions_not_ended ON sessions (user_id, last_used_at DESC, id DESC) WHERE ended_at IS NULL;
COMMENT ON COLUMN login_throttle.account IS 'SHA-256 of a user''s id, or of an address that nobody has, in hex; or ''*''.';
COMMENT ON COLUMN login_throttle.network IS 'An IPv4 address, an IPv6 /56, empty, or ''*''; for right passwords what they were given for.';

-- +goose Down
COMMENT ON COLUMN login_throttle.network IS NULL;
COMMENT ON COLUMN login_throttle.account IS NULL;
DROP INDEX sessions_not_ended;
UPDATE sessions SET end_reason = 'signed_out' WHERE end_reason = 'limit_reached';
ALTER TABLE sessions DROP CONSTRAINT sessions_end_reason_known;
ALTER TABLE sessions ADD CONSTRAINT sessions_end_reason_known
    CHECK (end_reason IN ('logout', 'refresh_token_reused', 'user_disabled', 'signed_out', 'password_changed'));
