-- +goose Up

-- For whoever compares orders with other services, a span of time after the other.
CREATE INDEX orders_by_change ON orders (updated_at, id);

-- What may be in between: few rows, however many orders there are.
CREATE INDEX orders_open ON orders (id)
    WHERE status = 'pending' OR status = 'cancelled' AND payment_status IN ('pending', 'authorized');
CREATE INDEX order_refunds_open ON order_refunds (order_id)
    WHERE status = 'pending' OR status = 'done' AND restock AND NOT restocked;

CREATE TABLE findings (
    id            uuid        NOT NULL,
    kind          text        NOT NULL,
    reference     text        NOT NULL, -- the order's id, or the payment's
    order_id      uuid,                 -- no foreign key: that there is no such order may be what was found
    provider      text        NOT NULL,
    detail        text        NOT NULL,
    repairable    boolean     NOT NULL,
    status        text        NOT NULL,
    watched       boolean     NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    resolved_at   timestamptz,
    CONSTRAINT findings_pkey PRIMARY KEY (id),
    CONSTRAINT findings_status_known CHECK (status IN ('suspected', 'open', 'resolved', 'repaired')),
    CONSTRAINT findings_open_is_watched CHECK (watched OR status IN ('resolved', 'repaired')),
    CONSTRAINT findings_resolved_at CHECK ((resolved_at IS NULL) = (status IN ('suspected', 'open')))
);

-- One at a time of what it is about.
CREATE UNIQUE INDEX findings_watched_key ON findings (kind, reference) WHERE watched;
CREATE INDEX findings_watched ON findings (id) WHERE watched;
CREATE INDEX findings_by_status ON findings (status, id DESC);

-- How far audits have come: one row, whose state only order-service reads.
CREATE TABLE audit_progress (
    id       boolean NOT NULL DEFAULT true,
    revision bigint  NOT NULL,
    state    jsonb   NOT NULL,
    CONSTRAINT audit_progress_pkey PRIMARY KEY (id),
    CONSTRAINT audit_progress_one_row CHECK (id)
);
INSERT INTO audit_progress (revision, state) VALUES (0, '{}');

-- +goose Down

DROP TABLE audit_progress;
DROP TABLE findings;
DROP INDEX order_refunds_open;
DROP INDEX orders_open;
DROP INDEX orders_by_change;
