-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS order_attempts (
    order_id    BINARY(16) NOT NULL,
    number      BIGINT NOT NULL,
    state       VARCHAR(24) NOT NULL CHECK (state IN ('sending', 'not_sent', 'unknown', 'accepted', 'rejected', 'overdue',
                    'received')),
    quantity    BIGINT NOT NULL CHECK (quantity > 0),
    received    BIGINT NOT NULL DEFAULT 0 CHECK (received >= 0),
    sku         VARCHAR(512) NOT NULL,
    slug        VARCHAR(255) NOT NULL,
    factory_id  BINARY(16) NOT NULL,
    factory     VARCHAR(512) NOT NULL, -- its identifier
    requester   TEXT NOT NULL,
    tries       BIGINT NOT NULL DEFAULT 1, -- times it was claimed; more than once only if proven not sent
    owner       VARCHAR(255) NOT NULL,
    lease_until BIGINT NOT NULL,
    sent_at     BIGINT NOT NULL,
    answered_at BIGINT,
    due_at      BIGINT,
    http_status BIGINT NOT NULL DEFAULT 0,
    factory_ref TEXT NOT NULL DEFAULT (''),
    error       TEXT NOT NULL DEFAULT (''),
    public_url  TEXT NOT NULL DEFAULT (''),
    -- Pieces beyond the quantity that a person approved.
    approved    BIGINT NOT NULL DEFAULT 0 CHECK (approved >= 0),
    PRIMARY KEY (order_id, number),
    KEY attempts_leased (factory_id, lease_until),
    FOREIGN KEY (order_id) REFERENCES replenishment_orders (id),
    FOREIGN KEY (factory_id) REFERENCES factories (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
