-- What migrations/sqlite had made by step 5. Step n of SQLite is step n00 here.
--
-- Ids are UUIDs of 16 bytes; times are microseconds since 1970 UTC, NULL for
-- "not yet"; money is in the currency's minor unit; quantities are pieces. The
-- rules that must never be broken are CHECKs and unique indexes here, so that no
-- statement can get around them. Texts are compared by their bytes.

-- +goose Up

-- Turns that are taken one after another, by locking their row.
CREATE TABLE turns (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);
INSERT INTO turns (name) VALUES ('digest'), ('money'), ('settings');

CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE factories (
    id              BYTEA  NOT NULL PRIMARY KEY,
    identifier      TEXT   COLLATE "C" NOT NULL UNIQUE,
    name            TEXT   COLLATE "C" NOT NULL,
    manager_email   TEXT   COLLATE "C" NOT NULL,
    language        TEXT   COLLATE "C" NOT NULL,
    url             TEXT   COLLATE "C" NOT NULL,
    requester       TEXT   COLLATE "C" NOT NULL,
    lead_time       BIGINT NOT NULL CHECK (lead_time >= 0),
    max_in_flight   BIGINT NOT NULL CHECK (max_in_flight > 0),
    rate_per_second DOUBLE PRECISION NOT NULL CHECK (rate_per_second > 0),
    -- The earliest moment for the next call, so that all processes together
    -- keep the rate.
    next_call_at    BIGINT NOT NULL DEFAULT 0,
    -- A reason to place nothing at this factory; '' while orders are placed.
    paused          TEXT   COLLATE "C" NOT NULL DEFAULT '',
    -- What happens when the window for a callback ends.
    overdue_policy  TEXT   COLLATE "C" NOT NULL DEFAULT 'reorder' CHECK (overdue_policy IN ('reorder', 'wait', 'hold')),
    -- What the second of two equal reports means while pieces are missing.
    repeats         TEXT   COLLATE "C" NOT NULL DEFAULT 'hold' CHECK (repeats IN ('hold', 'apply')),
    -- HTTP statuses from 500 on that surely mean "not accepted", with blanks between.
    refused_statuses TEXT  COLLATE "C" NOT NULL DEFAULT '',
    -- The breaker, for all processes together. While it is half open, one probe is
    -- on its way until breaker_until; while it is open, nothing is before then.
    breaker          TEXT   COLLATE "C" NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open', 'half_open')),
    breaker_failures BIGINT NOT NULL DEFAULT 0, -- in a row
    breaker_opened   BIGINT NOT NULL DEFAULT 0, -- times, since a call went well
    breaker_until    BIGINT NOT NULL DEFAULT 0,
    -- The budget of retries: a bucket that fills with time and with first tries.
    retry_tokens     DOUBLE PRECISION NOT NULL DEFAULT 5,
    retry_filled_at  BIGINT NOT NULL DEFAULT 0,
    -- Times from the call to the callback, in microseconds, as they were observed.
    lead_times_seen   BIGINT NOT NULL DEFAULT 0,
    lead_time_longest BIGINT NOT NULL DEFAULT 0,
    lead_time_learned BIGINT NOT NULL DEFAULT 0,
    -- The public URL at which it called back last.
    called_back_at   TEXT   COLLATE "C" NOT NULL DEFAULT ''
);

CREATE TABLE advertisements (
    id            BYTEA NOT NULL PRIMARY KEY,
    name          TEXT  COLLATE "C" NOT NULL UNIQUE,
    manager_email TEXT  COLLATE "C" NOT NULL,
    language      TEXT  COLLATE "C" NOT NULL,
    stop_when     TEXT  COLLATE "C" NOT NULL DEFAULT 'all' CHECK (stop_when IN ('all', 'any')),
    -- The last hold, open or not.
    hold_id       BYTEA,
    -- While a mail is on its way, nobody else may write to this manager, or
    -- the mails could arrive in the wrong order.
    mailing_until BIGINT NOT NULL DEFAULT 0,
    -- When somebody has to look again, if no event comes before; NULL for never.
    look_at       BIGINT
);
CREATE INDEX advertisements_look ON advertisements (look_at);

-- A product's row changes with each sale; half of its page is room for that.
CREATE TABLE products (
    id               BYTEA  NOT NULL PRIMARY KEY,
    sku              TEXT   COLLATE "C" NOT NULL UNIQUE,
    slug             TEXT   COLLATE "C" NOT NULL UNIQUE,
    name             TEXT   COLLATE "C" NOT NULL,
    price            BIGINT NOT NULL CHECK (price >= 0),
    unit_cost        BIGINT NOT NULL CHECK (unit_cost >= 0),
    currency         TEXT   COLLATE "C" NOT NULL,
    factory_id       BYTEA  REFERENCES factories (id),
    advertisement_id BYTEA  REFERENCES advertisements (id),
    opening_stock    BIGINT NOT NULL CHECK (opening_stock >= 0),
    on_hand          BIGINT NOT NULL,
    reserved         BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    on_order         BIGINT NOT NULL DEFAULT 0 CHECK (on_order >= 0),
    stockout_id      BYTEA,
    ordering         TEXT   COLLATE "C" NOT NULL CHECK (ordering IN ('auto', 'review', 'off')),
    reorder_point    BIGINT NOT NULL CHECK (reorder_point >= 0),
    order_quantity   BIGINT NOT NULL CHECK (order_quantity >= 0),
    order_up_to      BIGINT NOT NULL CHECK (order_up_to >= 0),
    minimum_order    BIGINT NOT NULL CHECK (minimum_order > 0),
    pack_size        BIGINT NOT NULL CHECK (pack_size > 0),
    maximum_stock    BIGINT NOT NULL CHECK (maximum_stock >= 0),
    max_per_purchase BIGINT NOT NULL CHECK (max_per_purchase > 0),
    resume_level     BIGINT NOT NULL CHECK (resume_level > 0),
    open_orders_max  BIGINT NOT NULL CHECK (open_orders_max > 0),
    created_at       BIGINT NOT NULL,
    snoozed_until    BIGINT,
    daily_limit      BIGINT NOT NULL DEFAULT 0 CHECK (daily_limit >= 0),
    -- Set while an import or a changed policy, and not a sale, made it low.
    low_by_import    SMALLINT NOT NULL DEFAULT 0,
    -- How urgent it is: 0 out of stock, 1 low, 2 on order, 3 healthy. It is written
    -- when it changes, which is seldom, and not at every sale.
    urgency          SMALLINT NOT NULL DEFAULT 3 CHECK (urgency BETWEEN 0 AND 3),
    CHECK (on_hand >= reserved)
) WITH (fillfactor = 50);
CREATE INDEX products_urgency ON products (urgency, sku);

-- The words that find a product: of its SKU, its slug and its name, in lower
-- case. Korean joins words, so its words are here from each of their letters on.
CREATE TABLE product_words (
    word       TEXT  COLLATE "C" NOT NULL,
    product_id BYTEA NOT NULL REFERENCES products (id),
    PRIMARY KEY (word, product_id)
);
CREATE INDEX products_advertisement ON products (advertisement_id);

-- What was sold, a row per line. What belongs to the sale as a whole stands on
-- each of its lines: nearly every sale has one, and one row is what a sale at
-- full speed can afford.
CREATE TABLE sale_lines (
    sale_id    BYTEA  NOT NULL,
    line       BIGINT NOT NULL,
    product_id BYTEA  NOT NULL REFERENCES products (id),
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    unit_price BIGINT NOT NULL CHECK (unit_price >= 0),
    currency   TEXT   COLLATE "C" NOT NULL,
    -- What was available afterwards, as the buyer was told.
    remaining  BIGINT NOT NULL CHECK (remaining >= 0),
    returned   BIGINT NOT NULL DEFAULT 0 CHECK (returned >= 0 AND returned <= quantity),
    reference  TEXT   COLLATE "C" NOT NULL,
    sold_at    BIGINT NOT NULL,
    PRIMARY KEY (sale_id, line)
);
CREATE INDEX sale_lines_reference ON sale_lines (reference) WHERE reference <> '';

CREATE VIEW sales AS
    SELECT sale_id AS id, MIN(reference) AS reference, SUM(quantity * unit_price) AS total, MIN(currency) AS currency,
        MIN(sold_at) AS sold_at
    FROM sale_lines GROUP BY sale_id;

-- The ledger. Rows are only ever added, one for each change of on hand: sales
-- that were committed together are one change, at the sold_at of their lines.
CREATE TABLE movements (
    id            BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    product_id    BYTEA  NOT NULL REFERENCES products (id),
    kind          TEXT   COLLATE "C" NOT NULL CHECK (kind IN ('opening', 'sale', 'receipt', 'adjustment', 'return')),
    quantity      BIGINT NOT NULL,
    on_hand_after BIGINT NOT NULL CHECK (on_hand_after >= 0),
    reference     BYTEA, -- the receipt that caused it, or another single cause
    note          TEXT   COLLATE "C" NOT NULL DEFAULT '',
    at            BIGINT NOT NULL
);
CREATE INDEX movements_product ON movements (product_id, id);
CREATE INDEX movements_unsold ON movements (product_id, id) WHERE kind <> 'sale';

CREATE TABLE stockouts (
    id               BYTEA  NOT NULL PRIMARY KEY,
    product_id       BYTEA  NOT NULL REFERENCES products (id),
    opened_at        BIGINT NOT NULL,
    closed_at        BIGINT,
    refused_buyers   BIGINT NOT NULL DEFAULT 0,
    refused_units    BIGINT NOT NULL DEFAULT 0,
    first_refused_at BIGINT
);
CREATE INDEX stockouts_product ON stockouts (product_id, id);
CREATE INDEX stockouts_open ON stockouts (closed_at, product_id);

-- Buyers turned away while something was left, but not enough.
CREATE TABLE refusals (
    product_id BYTEA  NOT NULL REFERENCES products (id),
    day        TEXT   COLLATE "C" NOT NULL, -- 2006-01-02, UTC
    buyers     BIGINT NOT NULL,
    units      BIGINT NOT NULL,
    first_at   BIGINT,
    told_in    BYTEA,
    PRIMARY KEY (product_id, day)
);

CREATE TABLE replenishment_orders (
    id          BYTEA  NOT NULL PRIMARY KEY,
    product_id  BYTEA  NOT NULL REFERENCES products (id),
    factory_id  BYTEA  NOT NULL REFERENCES factories (id),
    state       TEXT   COLLATE "C" NOT NULL CHECK (state IN ('planned', 'awaiting_approval', 'sending', 'unknown', 'accepted',
                    'overdue', 'partly_received', 'held', 'received', 'closed_short')),
    -- An open order occupies one of the product's slots: automatic ones from 0 on,
    -- those by hand from -1 down.
    slot        BIGINT,
    manual      SMALLINT NOT NULL DEFAULT 0,
    quantity    BIGINT NOT NULL CHECK (quantity > 0),
    received    BIGINT NOT NULL DEFAULT 0 CHECK (received >= 0),
    outstanding BIGINT NOT NULL CHECK (outstanding >= 0),
    unit_cost   BIGINT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    reason      TEXT   COLLATE "C" NOT NULL,
    held_reason TEXT   COLLATE "C" NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    due_at      BIGINT NOT NULL, -- when somebody must look at it next
    expected_at BIGINT,
    closed_at   BIGINT,
    told_in     BYTEA, -- the digest that told operations of its state
    cause       TEXT   COLLATE "C" NOT NULL DEFAULT 'low' CHECK (cause IN ('low', 'import', 'manual')),
    -- Attempts beyond the first that the factory may have accepted; a person who
    -- says "again" raises it.
    reorder_budget BIGINT NOT NULL DEFAULT 1 CHECK (reorder_budget >= 0),
    UNIQUE (product_id, slot),
    CHECK (state NOT IN ('received', 'closed_short') OR (slot IS NULL AND outstanding = 0))
);
CREATE INDEX orders_due ON replenishment_orders (state, factory_id, due_at);
CREATE INDEX orders_product ON replenishment_orders (product_id, id);
CREATE INDEX orders_created ON replenishment_orders (created_at);
CREATE INDEX orders_state ON replenishment_orders (state, id);

CREATE TABLE order_attempts (
    order_id    BYTEA  NOT NULL REFERENCES replenishment_orders (id),
    number      BIGINT NOT NULL,
    state       TEXT   COLLATE "C" NOT NULL CHECK (state IN ('sending', 'not_sent', 'unknown', 'accepted', 'rejected', 'overdue',
                    'received')),
    quantity    BIGINT NOT NULL CHECK (quantity > 0),
    received    BIGINT NOT NULL DEFAULT 0 CHECK (received >= 0),
    sku         TEXT   COLLATE "C" NOT NULL,
    slug        TEXT   COLLATE "C" NOT NULL,
    factory_id  BYTEA  NOT NULL REFERENCES factories (id),
    factory     TEXT   COLLATE "C" NOT NULL, -- its identifier
    requester   TEXT   COLLATE "C" NOT NULL,
    tries       BIGINT NOT NULL DEFAULT 1, -- times it was claimed; more than once only if proven not sent
    owner       TEXT   COLLATE "C" NOT NULL,
    lease_until BIGINT NOT NULL,
    sent_at     BIGINT NOT NULL,
    answered_at BIGINT,
    due_at      BIGINT,
    http_status BIGINT NOT NULL DEFAULT 0,
    factory_ref TEXT   COLLATE "C" NOT NULL DEFAULT '',
    error       TEXT   COLLATE "C" NOT NULL DEFAULT '',
    public_url  TEXT   COLLATE "C" NOT NULL DEFAULT '',
    -- Pieces beyond the quantity that a person approved.
    approved    BIGINT NOT NULL DEFAULT 0 CHECK (approved >= 0),
    PRIMARY KEY (order_id, number)
);
CREATE INDEX attempts_in_flight ON order_attempts (factory_id, lease_until) WHERE state = 'sending';
-- A call is in flight until it is answered, also when its callback came first.
CREATE INDEX attempts_leased ON order_attempts (factory_id, lease_until);

-- Every callback with a good token. An order that we do not know has no
-- product: such a receipt is kept as an orphan, so there is no foreign key.
CREATE TABLE receipts (
    id         BYTEA  NOT NULL PRIMARY KEY,
    order_id   BYTEA  NOT NULL,
    attempt    BIGINT NOT NULL,
    product_id BYTEA  REFERENCES products (id),
    state      TEXT   COLLATE "C" NOT NULL CHECK (state IN ('applied', 'duplicate', 'held', 'refused')),
    claimed    TEXT   COLLATE "C" NOT NULL,
    applied    BIGINT NOT NULL CHECK (applied >= 0),
    held       BIGINT NOT NULL CHECK (held >= 0),
    late       SMALLINT NOT NULL,
    reason     TEXT   COLLATE "C" NOT NULL,
    body_hash  BYTEA  NOT NULL,
    body       BYTEA  NOT NULL,
    repeat     BIGINT NOT NULL, -- 0 the first with this body, 1 the repeats
    repeats    BIGINT NOT NULL DEFAULT 0,
    remote     TEXT   COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    told_in    BYTEA,
    -- Pieces that were held, and that a person refused.
    refused    BIGINT NOT NULL DEFAULT 0 CHECK (refused >= 0),
    UNIQUE (order_id, attempt, body_hash, repeat)
);
CREATE INDEX receipts_state ON receipts (state, id);
CREATE INDEX receipts_part_held ON receipts (id) WHERE state = 'applied' AND held > 0;

CREATE TABLE decisions (
    id            BYTEA  NOT NULL PRIMARY KEY,
    product_id    BYTEA  NOT NULL REFERENCES products (id),
    ordered       SMALLINT NOT NULL,
    order_id      BYTEA,
    quantity      BIGINT NOT NULL,
    approval      SMALLINT NOT NULL,
    reason        TEXT   COLLATE "C" NOT NULL,
    on_hand       BIGINT NOT NULL,
    reserved      BIGINT NOT NULL,
    on_order      BIGINT NOT NULL,
    reorder_point BIGINT NOT NULL,
    count         BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL
);
CREATE INDEX decisions_product ON decisions (product_id, id);

-- One stop of an advertisement: a conversation with its manager.
CREATE TABLE ad_holds (
    id                     BYTEA  NOT NULL PRIMARY KEY,
    advertisement_id       BYTEA  NOT NULL REFERENCES advertisements (id),
    -- With which stockout it began.
    product_id             BYTEA  NOT NULL REFERENCES products (id),
    stockout_id            BYTEA  NOT NULL REFERENCES stockouts (id),
    state                  TEXT   COLLATE "C" NOT NULL CHECK (state IN ('stopping', 'stopped', 'resuming', 'resumed', 'withdrawn')),
    -- 1 while it is open, else NULL: at most one is.
    slot                   BIGINT,
    created_at             BIGINT NOT NULL,
    stop_acknowledged_at   BIGINT,
    stop_acknowledged_by   TEXT   COLLATE "C" NOT NULL DEFAULT '',
    resume_acknowledged_at BIGINT,
    resume_acknowledged_by TEXT   COLLATE "C" NOT NULL DEFAULT '',
    -- Since when operations have to look after it.
    escalated_at           BIGINT,
    told_in                BYTEA, -- the digest that told them
    UNIQUE (advertisement_id, slot),
    CHECK ((slot IS NULL) = (state IN ('resumed', 'withdrawn')))
);
CREATE INDEX ad_holds_open ON ad_holds (slot, product_id);
CREATE INDEX ad_holds_escalated ON ad_holds (escalated_at);

CREATE TABLE ad_mails (
    hold_id  BYTEA    NOT NULL REFERENCES ad_holds (id),
    kind     TEXT     COLLATE "C" NOT NULL CHECK (kind IN ('stop', 'stop_reminder', 'resume', 'resume_reminder')),
    due_at   BIGINT   NOT NULL, -- its date
    facts    TEXT     COLLATE "C" NOT NULL, -- what it says, in JSON
    tries    BIGINT   NOT NULL,
    tried_at BIGINT   NOT NULL, -- the last time
    unsure   SMALLINT NOT NULL, -- it may have arrived, though nobody said so
    sent_at  BIGINT,
    PRIMARY KEY (hold_id, kind)
);

-- Mails to operations, and to the buyer.
CREATE TABLE digests (
    id            BYTEA  NOT NULL PRIMARY KEY,
    created_at    BIGINT NOT NULL,
    mailing_until BIGINT NOT NULL,
    sent_at       BIGINT,
    audience      TEXT   COLLATE "C" NOT NULL DEFAULT 'operations' CHECK (audience IN ('operations', 'buyer')),
    -- While a channel cannot tell, digests that it never tried are told in one
    -- message, by the first of them; what was tried once is repeated as it was.
    mailed_by     BYTEA,
    hooked_by     BYTEA,
    hooking_until BIGINT NOT NULL DEFAULT 0,
    hooked_at     BIGINT
);
CREATE INDEX digests_unsent ON digests (created_at) WHERE sent_at IS NULL;
CREATE INDEX digests_unhooked ON digests (created_at) WHERE hooked_at IS NULL;
CREATE INDEX digests_mailed_by ON digests (mailed_by);
CREATE INDEX digests_hooked_by ON digests (hooked_by);

-- Conditions that are a problem while they last.
CREATE TABLE incidents (
    id               BYTEA  NOT NULL PRIMARY KEY,
    kind             TEXT   COLLATE "C" NOT NULL CHECK (kind IN ('queue_old', 'relay_stuck', 'engine_away', 'dead_letters')),
    subject          TEXT   COLLATE "C" NOT NULL, -- the queue or the engine
    -- Its kind, a blank and its subject while it is open: at most one is.
    open_key         TEXT   COLLATE "C" UNIQUE,
    detail           TEXT   COLLATE "C" NOT NULL,
    began_at         BIGINT NOT NULL,
    opened_at        BIGINT NOT NULL,
    seen_at          BIGINT NOT NULL,
    ended_at         BIGINT, -- since when it is not seen any more
    closed_at        BIGINT, -- when it was taken to be over
    told_in          BYTEA,  -- the digest that it belongs to
    -- The messages that told of it, unless they are known to have failed.
    mailed_in        BYTEA,
    hooked_in        BYTEA,
    recovery_told_in BYTEA,  -- the digest that tells that it is over
    CHECK ((open_key IS NULL) = (closed_at IS NOT NULL))
);
CREATE INDEX incidents_told ON incidents (told_in);
CREATE INDEX incidents_recovered ON incidents (recovery_told_in, closed_at);

-- Which callback keys this database has signed with. The keys themselves are
-- never here.
CREATE TABLE callback_keys (
    key_id      BIGINT NOT NULL PRIMARY KEY,
    fingerprint TEXT   COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL
);

-- What a caller did under an Idempotency-Key. Only effects are remembered: a
-- refusal is decided anew.
CREATE TABLE idempotency_keys (
    key        TEXT   COLLATE "C" NOT NULL PRIMARY KEY, -- its route, a blank, the caller's key
    body_hash  BYTEA  NOT NULL,
    effect     BYTEA  NOT NULL, -- the id of the sale, reservation, return or adjustment
    created_at BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE reservations (
    id         BYTEA  NOT NULL PRIMARY KEY,
    state      TEXT   COLLATE "C" NOT NULL CHECK (state IN ('held', 'confirmed', 'released', 'expired')),
    reference  TEXT   COLLATE "C" NOT NULL,
    currency   TEXT   COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at  BIGINT,
    sale_id    BYTEA,
    CHECK ((state = 'confirmed') = (sale_id IS NOT NULL))
);
CREATE INDEX reservations_due ON reservations (state, expires_at);

CREATE TABLE reservation_lines (
    reservation_id BYTEA  NOT NULL REFERENCES reservations (id),
    line           BIGINT NOT NULL,
    product_id     BYTEA  NOT NULL REFERENCES products (id),
    quantity       BIGINT NOT NULL CHECK (quantity > 0),
    unit_price     BIGINT NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (reservation_id, line)
);
CREATE INDEX reservation_lines_product ON reservation_lines (product_id, reservation_id);

CREATE TABLE sale_returns (
    id         BYTEA  NOT NULL,
    line       BIGINT NOT NULL,
    sale_id    BYTEA  NOT NULL,
    product_id BYTEA  NOT NULL REFERENCES products (id),
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    reason     TEXT   COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (id, line)
);
CREATE INDEX sale_returns_sale ON sale_returns (sale_id);

CREATE TABLE adjustments (
    id         BYTEA  NOT NULL PRIMARY KEY,
    product_id BYTEA  NOT NULL REFERENCES products (id),
    quantity   BIGINT NOT NULL, -- signed
    counted    BIGINT, -- of a stocktake
    on_hand    BIGINT NOT NULL, -- afterwards
    reason     TEXT   COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX adjustments_product ON adjustments (product_id, id);

-- When receiving processes were alive, a row for each stretch of time without a
-- gap. A window for a callback does not run while nobody could be called.
CREATE TABLE heartbeats (
    owner      TEXT   COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    beat_at    BIGINT NOT NULL,
    gap_min    BIGINT NOT NULL, -- microseconds after the last beat until it counts as gone
    set_back   BIGINT NOT NULL, -- microseconds that the clock was set back by when it began, as far as beats tell
    PRIMARY KEY (owner, started_at)
);
CREATE INDEX heartbeats_beat ON heartbeats (beat_at);

-- What people decided, and why. Rows are only ever added.
CREATE TABLE audit (
    id         BYTEA  NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT   COLLATE "C" NOT NULL,
    action     TEXT   COLLATE "C" NOT NULL, -- such as order.approve
    subject    TEXT   COLLATE "C" NOT NULL, -- what it was done to: an id or a name
    product_id BYTEA  REFERENCES products (id),
    reason     TEXT   COLLATE "C" NOT NULL,
    detail     TEXT   COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX audit_product ON audit (product_id, id);
CREATE INDEX audit_subject ON audit (subject, id);
