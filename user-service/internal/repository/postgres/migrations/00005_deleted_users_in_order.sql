-- +goose Up
-- Also what those who keep something of users page through: the id tells users apart who were deleted in the same moment.
DROP INDEX deleted_users_by_time;
CREATE INDEX deleted_users_by_time ON deleted_users (deleted_at, id);

-- +goose Down
DROP INDEX deleted_users_by_time;
CREATE INDEX deleted_users_by_time ON deleted_users (deleted_at);
