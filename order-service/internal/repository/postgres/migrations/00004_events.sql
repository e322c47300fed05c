-- +goose Up

CREATE TABLE webhook_endpoints (
    id         uuid        NOT NULL,
    url        text        NOT NULL,
    events     text[]      NOT NULL, -- empty for all
    status     text        NOT NULL,
    version    bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoints_status_known CHECK (status IN ('active', 'disabled'))
);

-- An event is kept if there is somebody to send it to. It outlives an order, hence no foreign key.
CREATE TABLE webhook_events (
    id         uuid        NOT NULL,
    type       text        NOT NULL,
    order_id   uuid        NOT NULL,
    created_at timestamptz NOT NULL,
    body       bytea       NOT NULL, -- what is sent, byte for byte
    CONSTRAINT webhook_events_pkey PRIMARY KEY (id)
);

CREATE INDEX webhook_events_created ON webhook_events (created_at);

-- No foreign key to the endpoint: it would make all orders write into the row of an endpoint, to hold it.
CREATE TABLE webhook_deliveries (
    id              uuid        NOT NULL,
    endpoint_id     uuid        NOT NULL,
    event_id        uuid        NOT NULL,
    status          text        NOT NULL,
    attempts        integer     NOT NULL,
    tries           integer     NOT NULL,
    round           integer     NOT NULL,
    last_status     integer     NOT NULL, -- 0 for none
    last_error      text        NOT NULL,
    last_attempt_at timestamptz,
    next_attempt_at timestamptz,
    created_at      timestamptz NOT NULL,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_once_an_endpoint UNIQUE (event_id, endpoint_id),
    CONSTRAINT webhook_deliveries_event_fkey FOREIGN KEY (event_id) REFERENCES webhook_events (id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_status_known CHECK (status IN ('pending', 'delivered', 'failed')),
    CONSTRAINT webhook_deliveries_next_while_pending CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL))
);

-- Ids are UUIDv7: their order is that of creation. What an operator looks for is rare.
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id DESC);
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (endpoint_id, status, id DESC) WHERE status <> 'delivered';

-- +goose Down

DROP TABLE webhook_deliveries;
DROP TABLE webhook_events;
DROP TABLE webhook_endpoints;
