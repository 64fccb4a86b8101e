-- The first schema. Ids are UUIDs of 16 bytes; times are microseconds since
-- 1970 UTC, NULL for "not yet"; money is in the currency's minor unit;
-- quantities are pieces. The rules that must never be broken are CHECKs and
-- unique indexes here, so that no statement can get around them.

-- +goose Up
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE factories (
    id              BLOB    NOT NULL PRIMARY KEY,
    identifier      TEXT    NOT NULL UNIQUE,
    name            TEXT    NOT NULL,
    manager_email   TEXT    NOT NULL,
    language        TEXT    NOT NULL,
    url             TEXT    NOT NULL,
    requester       TEXT    NOT NULL,
    lead_time       INTEGER NOT NULL CHECK (lead_time >= 0),
    max_in_flight   INTEGER NOT NULL CHECK (max_in_flight > 0),
    rate_per_second REAL    NOT NULL CHECK (rate_per_second > 0),
    -- The earliest moment for the next call, so that all processes together
    -- keep the rate.
    next_call_at    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE advertisements (
    id            BLOB NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    manager_email TEXT NOT NULL,
    language      TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE products (
    id               BLOB    NOT NULL PRIMARY KEY,
    sku              TEXT    NOT NULL UNIQUE,
    slug             TEXT    NOT NULL UNIQUE,
    name             TEXT    NOT NULL,
    price            INTEGER NOT NULL CHECK (price >= 0),
    unit_cost        INTEGER NOT NULL CHECK (unit_cost >= 0),
    currency         TEXT    NOT NULL,
    factory_id       BLOB REFERENCES factories (id),
    advertisement_id BLOB REFERENCES advertisements (id),
    opening_stock    INTEGER NOT NULL CHECK (opening_stock >= 0),
    on_hand          INTEGER NOT NULL CHECK (on_hand >= reserved),
    reserved         INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    on_order         INTEGER NOT NULL DEFAULT 0 CHECK (on_order >= 0),
    stockout_id      BLOB,
    ordering         TEXT    NOT NULL CHECK (ordering IN ('auto', 'review', 'off')),
    reorder_point    INTEGER NOT NULL CHECK (reorder_point >= 0),
    order_quantity   INTEGER NOT NULL CHECK (order_quantity >= 0),
    order_up_to      INTEGER NOT NULL CHECK (order_up_to >= 0),
    minimum_order    INTEGER NOT NULL CHECK (minimum_order > 0),
    pack_size        INTEGER NOT NULL CHECK (pack_size > 0),
    maximum_stock    INTEGER NOT NULL CHECK (maximum_stock >= 0),
    max_per_purchase INTEGER NOT NULL CHECK (max_per_purchase > 0),
    resume_level     INTEGER NOT NULL CHECK (resume_level > 0),
    open_orders_max  INTEGER NOT NULL CHECK (open_orders_max > 0),
    created_at       INTEGER NOT NULL
) WITHOUT ROWID;

-- What was sold, a row per line. What belongs to the sale as a whole stands on
-- each of its lines: nearly every sale has one, and one row is what a sale at
-- full speed can afford.
CREATE TABLE sale_lines (
    sale_id    BLOB    NOT NULL,
    line       INTEGER NOT NULL,
    product_id BLOB    NOT NULL REFERENCES products (id),
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    unit_price INTEGER NOT NULL CHECK (unit_price >= 0),
    currency   TEXT    NOT NULL,
    -- What was available afterwards, as the buyer was told.
    remaining  INTEGER NOT NULL CHECK (remaining >= 0),
    returned   INTEGER NOT NULL DEFAULT 0 CHECK (returned >= 0 AND returned <= quantity),
    reference  TEXT    NOT NULL,
    sold_at    INTEGER NOT NULL,
    PRIMARY KEY (sale_id, line)
) WITHOUT ROWID;
CREATE INDEX sale_lines_reference ON sale_lines (reference) WHERE reference <> '';

CREATE VIEW sales AS
    SELECT sale_id AS id, MIN(reference) AS reference, SUM(quantity * unit_price) AS total, MIN(currency) AS currency,
        MIN(sold_at) AS sold_at
    FROM sale_lines GROUP BY sale_id;

-- The ledger. Rows are only ever added, one for each change of on hand: sales
-- that were committed together are one change, at the sold_at of their lines.
CREATE TABLE movements (
    id            INTEGER PRIMARY KEY,
    product_id    BLOB    NOT NULL REFERENCES products (id),
    kind          TEXT    NOT NULL CHECK (kind IN ('opening', 'sale', 'receipt', 'adjustment', 'return')),
    quantity      INTEGER NOT NULL,
    on_hand_after INTEGER NOT NULL CHECK (on_hand_after >= 0),
    reference     BLOB, -- the receipt that caused it, or another single cause
    note          TEXT    NOT NULL DEFAULT '',
    at            INTEGER NOT NULL
);
CREATE INDEX movements_product ON movements (product_id, id);

CREATE TABLE stockouts (
    id             BLOB    NOT NULL PRIMARY KEY,
    product_id     BLOB    NOT NULL REFERENCES products (id),
    opened_at      INTEGER NOT NULL,
    closed_at      INTEGER,
    refused_buyers INTEGER NOT NULL DEFAULT 0,
    refused_units  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX stockouts_product ON stockouts (product_id, id);

-- Buyers turned away while something was left, but not enough.
CREATE TABLE refusals (
    product_id BLOB    NOT NULL REFERENCES products (id),
    day        TEXT    NOT NULL, -- 2006-01-02, UTC
    buyers     INTEGER NOT NULL,
    units      INTEGER NOT NULL,
    PRIMARY KEY (product_id, day)
) WITHOUT ROWID;

CREATE TABLE replenishment_orders (
    id          BLOB    NOT NULL PRIMARY KEY,
    product_id  BLOB    NOT NULL REFERENCES products (id),
    factory_id  BLOB    NOT NULL REFERENCES factories (id),
    state       TEXT    NOT NULL CHECK (state IN ('planned', 'awaiting_approval', 'sending', 'unknown', 'accepted',
                    'overdue', 'partly_received', 'held', 'received', 'closed_short')),
    -- An open automatic order occupies one of the product's slots.
    slot        INTEGER,
    manual      INTEGER NOT NULL DEFAULT 0,
    quantity    INTEGER NOT NULL CHECK (quantity > 0),
    received    INTEGER NOT NULL DEFAULT 0 CHECK (received >= 0),
    outstanding INTEGER NOT NULL CHECK (outstanding >= 0),
    unit_cost   INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    reason      TEXT    NOT NULL,
    held_reason TEXT    NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    due_at      INTEGER NOT NULL, -- when somebody must look at it next
    expected_at INTEGER,
    closed_at   INTEGER,
    told_in     BLOB, -- the digest that told operations of its state
    UNIQUE (product_id, slot),
    CHECK (state NOT IN ('received', 'closed_short') OR (slot IS NULL AND outstanding = 0))
) WITHOUT ROWID;
CREATE INDEX orders_due ON replenishment_orders (state, factory_id, due_at);
CREATE INDEX orders_product ON replenishment_orders (product_id, id);

CREATE TABLE order_attempts (
    order_id    BLOB    NOT NULL REFERENCES replenishment_orders (id),
    number      INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('sending', 'not_sent', 'unknown', 'accepted', 'rejected', 'overdue',
                    'received')),
    quantity    INTEGER NOT NULL CHECK (quantity > 0),
    received    INTEGER NOT NULL DEFAULT 0 CHECK (received >= 0),
    sku         TEXT    NOT NULL,
    slug        TEXT    NOT NULL,
    factory_id  BLOB    NOT NULL REFERENCES factories (id),
    factory     TEXT    NOT NULL, -- its identifier
    requester   TEXT    NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 1, -- times it was claimed; more than once only if proven not sent
    owner       TEXT    NOT NULL,
    lease_until INTEGER NOT NULL,
    sent_at     INTEGER NOT NULL,
    answered_at INTEGER,
    due_at      INTEGER,
    http_status INTEGER NOT NULL DEFAULT 0,
    factory_ref TEXT    NOT NULL DEFAULT '',
    error       TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (order_id, number)
) WITHOUT ROWID;
CREATE INDEX attempts_in_flight ON order_attempts (factory_id, lease_until) WHERE state = 'sending';

-- Every callback with a good token. An order that we do not know has no
-- product: such a receipt is kept as an orphan, so there is no foreign key.
CREATE TABLE receipts (
    id         BLOB    NOT NULL PRIMARY KEY,
    order_id   BLOB    NOT NULL,
    attempt    INTEGER NOT NULL,
    product_id BLOB REFERENCES products (id),
    state      TEXT    NOT NULL CHECK (state IN ('applied', 'duplicate', 'held', 'refused')),
    claimed    TEXT    NOT NULL,
    applied    INTEGER NOT NULL CHECK (applied >= 0),
    held       INTEGER NOT NULL CHECK (held >= 0),
    late       INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    body_hash  BLOB    NOT NULL,
    body       BLOB    NOT NULL,
    repeat     INTEGER NOT NULL, -- 0 the first with this body, 1 the repeats
    repeats    INTEGER NOT NULL DEFAULT 0,
    remote     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    told_in    BLOB,
    UNIQUE (order_id, attempt, body_hash, repeat)
) WITHOUT ROWID;
CREATE INDEX receipts_state ON receipts (state, id);

CREATE TABLE decisions (
    id            BLOB    NOT NULL PRIMARY KEY,
    product_id    BLOB    NOT NULL REFERENCES products (id),
    ordered       INTEGER NOT NULL,
    order_id      BLOB,
    quantity      INTEGER NOT NULL,
    approval      INTEGER NOT NULL,
    reason        TEXT    NOT NULL,
    on_hand       INTEGER NOT NULL,
    reserved      INTEGER NOT NULL,
    on_order      INTEGER NOT NULL,
    reorder_point INTEGER NOT NULL,
    count         INTEGER NOT NULL,
    first_at      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX decisions_product ON decisions (product_id, id);

-- One conversation with an ad manager per stockout.
CREATE TABLE ad_holds (
    id               BLOB    NOT NULL PRIMARY KEY,
    stockout_id      BLOB    NOT NULL UNIQUE REFERENCES stockouts (id),
    product_id       BLOB    NOT NULL REFERENCES products (id),
    advertisement_id BLOB    NOT NULL REFERENCES advertisements (id),
    state            TEXT    NOT NULL CHECK (state IN ('stopping', 'stopped', 'resuming', 'resumed')),
    -- While a mail is on its way, nobody else may write to this manager, or
    -- the mails could arrive in the wrong order.
    mailing_until    INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    stop_sent_at     INTEGER,
    acknowledged_at  INTEGER,
    resume_sent_at   INTEGER
) WITHOUT ROWID;

-- Mails to operations.
CREATE TABLE digests (
    id            BLOB    NOT NULL PRIMARY KEY,
    created_at    INTEGER NOT NULL,
    mailing_until INTEGER NOT NULL,
    sent_at       INTEGER
) WITHOUT ROWID;
CREATE INDEX digests_unsent ON digests (created_at) WHERE sent_at IS NULL;

-- Which callback keys this database has signed with. The keys themselves are
-- never here.
CREATE TABLE callback_keys (
    key_id      INTEGER NOT NULL PRIMARY KEY,
    fingerprint TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
);
