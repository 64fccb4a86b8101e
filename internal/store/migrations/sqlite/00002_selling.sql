-- Selling beyond the plain checkout: keys that make a repeat harmless,
-- reservations, returns, stock by hand, and since when buyers are refused.

-- +goose Up

-- What a caller did under an Idempotency-Key. Only effects are remembered: a
-- refusal is decided anew.
CREATE TABLE idempotency_keys (
    key        TEXT    NOT NULL PRIMARY KEY, -- its route, a blank, the caller's key
    body_hash  BLOB    NOT NULL,
    effect     BLOB    NOT NULL, -- the id of the sale, reservation, return or adjustment
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE reservations (
    id         BLOB    NOT NULL PRIMARY KEY,
    state      TEXT    NOT NULL CHECK (state IN ('held', 'confirmed', 'released', 'expired')),
    reference  TEXT    NOT NULL,
    currency   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    closed_at  INTEGER,
    sale_id    BLOB,
    CHECK ((state = 'confirmed') = (sale_id IS NOT NULL))
) WITHOUT ROWID;
CREATE INDEX reservations_due ON reservations (state, expires_at);

CREATE TABLE reservation_lines (
    reservation_id BLOB    NOT NULL REFERENCES reservations (id),
    line           INTEGER NOT NULL,
    product_id     BLOB    NOT NULL REFERENCES products (id),
    quantity       INTEGER NOT NULL CHECK (quantity > 0),
    unit_price     INTEGER NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (reservation_id, line)
) WITHOUT ROWID;
CREATE INDEX reservation_lines_product ON reservation_lines (product_id, reservation_id);

CREATE TABLE sale_returns (
    id         BLOB    NOT NULL,
    line       INTEGER NOT NULL,
    sale_id    BLOB    NOT NULL,
    product_id BLOB    NOT NULL REFERENCES products (id),
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (id, line)
) WITHOUT ROWID;
CREATE INDEX sale_returns_sale ON sale_returns (sale_id);

CREATE TABLE adjustments (
    id         BLOB    NOT NULL PRIMARY KEY,
    product_id BLOB    NOT NULL REFERENCES products (id),
    quantity   INTEGER NOT NULL, -- signed
    counted    INTEGER, -- of a stocktake
    on_hand    INTEGER NOT NULL, -- afterwards
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX adjustments_product ON adjustments (product_id, id);

ALTER TABLE refusals ADD COLUMN first_at INTEGER;
ALTER TABLE refusals ADD COLUMN told_in BLOB;
ALTER TABLE stockouts ADD COLUMN first_refused_at INTEGER;
