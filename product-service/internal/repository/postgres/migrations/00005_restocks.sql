-- +goose Up

-- What was put back on the shelf of what an order had taken, once a refund.
CREATE TABLE restocks (
    order_id   uuid   NOT NULL,
    refund_id  uuid   NOT NULL,
    product_id uuid   NOT NULL,
    quantity   bigint NOT NULL CONSTRAINT restocks_quantity_positive CHECK (quantity > 0),
    CONSTRAINT restocks_pkey PRIMARY KEY (order_id, refund_id, product_id),
    -- A confirmed reservation keeps its lines.
    CONSTRAINT restocks_line_fkey FOREIGN KEY (order_id, product_id) REFERENCES reservation_lines (order_id, product_id)
);

-- +goose Down

DROP TABLE restocks;
