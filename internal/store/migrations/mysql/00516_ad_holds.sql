-- One stop of an advertisement: a conversation with its manager.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS ad_holds (
    id                     BINARY(16) NOT NULL PRIMARY KEY,
    advertisement_id       BINARY(16) NOT NULL,
    -- With which stockout it began.
    product_id             BINARY(16) NOT NULL,
    stockout_id            BINARY(16) NOT NULL,
    state                  VARCHAR(24) NOT NULL CHECK (state IN ('stopping', 'stopped', 'resuming', 'resumed', 'withdrawn')),
    -- 1 while it is open, else NULL: at most one is.
    slot                   BIGINT,
    created_at             BIGINT NOT NULL,
    stop_acknowledged_at   BIGINT,
    stop_acknowledged_by   VARCHAR(255) NOT NULL DEFAULT '',
    resume_acknowledged_at BIGINT,
    resume_acknowledged_by VARCHAR(255) NOT NULL DEFAULT '',
    -- Since when operations have to look after it.
    escalated_at           BIGINT,
    told_in                BINARY(16), -- the digest that told them
    UNIQUE KEY ad_holds_slot (advertisement_id, slot),
    CHECK ((slot IS NULL) = (state IN ('resumed', 'withdrawn'))),
    KEY ad_holds_open (slot, product_id),
    KEY ad_holds_escalated (escalated_at),
    FOREIGN KEY (advertisement_id) REFERENCES advertisements (id),
    FOREIGN KEY (product_id) REFERENCES products (id),
    FOREIGN KEY (stockout_id) REFERENCES stockouts (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
