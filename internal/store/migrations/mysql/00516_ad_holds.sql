-- One conversation with an ad manager per stockout.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS ad_holds (
    id               BINARY(16) NOT NULL PRIMARY KEY,
    stockout_id      BINARY(16) NOT NULL UNIQUE,
    product_id       BINARY(16) NOT NULL,
    advertisement_id BINARY(16) NOT NULL,
    state            VARCHAR(24) NOT NULL CHECK (state IN ('stopping', 'stopped', 'resuming', 'resumed')),
    -- While a mail is on its way, nobody else may write to this manager, or
    -- the mails could arrive in the wrong order.
    mailing_until    BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    stop_sent_at     BIGINT,
    acknowledged_at  BIGINT,
    resume_sent_at   BIGINT,
    stop_on_order    BIGINT,
    stop_expected_at BIGINT,
    FOREIGN KEY (stockout_id) REFERENCES stockouts (id),
    FOREIGN KEY (product_id) REFERENCES products (id),
    FOREIGN KEY (advertisement_id) REFERENCES advertisements (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
