-- Other programs hear of events: a log of all of them in the order of their
-- commits, the subscriptions, and what became of each delivery. The reports of
-- stockouts need to know when buyers were refused, and what that cost.

-- +goose Up

-- One row. Who writes an event locks it to the end of his transaction, as the
-- last of his locks, so that numbers are given in the order of the commits and a
-- reader who has seen one has seen all before it.
CREATE TABLE event_log (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    last_seq       INTEGER NOT NULL,
    purged_through INTEGER NOT NULL -- what is not kept any more
);
INSERT INTO event_log (id, last_seq, purged_through) VALUES (1, 0, 0);

CREATE TABLE events (
    seq          INTEGER NOT NULL PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE,
    type         TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    trace_parent TEXT    NOT NULL,
    body         BLOB    NOT NULL,
    created_at   INTEGER NOT NULL
);

CREATE TABLE webhooks (
    id            BLOB    NOT NULL PRIMARY KEY,
    url           TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    event_types   TEXT    NOT NULL, -- separated by spaces; '' is all
    acknowledges  BLOB    REFERENCES advertisements (id),
    secret        TEXT    NOT NULL,
    -- After a rotation both sign for a while.
    secret_before TEXT    NOT NULL DEFAULT '',
    before_until  INTEGER,
    paused        INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    -- Its deliveries are removed first, some at a time, and the row last.
    deleted_at    INTEGER,
    after_seq     INTEGER NOT NULL, -- events up to this one are in its queue
    failures      INTEGER NOT NULL DEFAULT 0, -- since it last took something
    failing_since INTEGER,
    last_error    TEXT    NOT NULL DEFAULT '',
    taken_at      INTEGER
) WITHOUT ROWID;

CREATE TABLE webhook_deliveries (
    webhook_id BLOB    NOT NULL REFERENCES webhooks (id),
    event_id   BLOB    NOT NULL,
    type       TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    event_at   INTEGER NOT NULL,
    queued_at  INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    tried_at   INTEGER,
    status     INTEGER NOT NULL DEFAULT 0, -- of the last answer; 0 is none
    took       INTEGER NOT NULL DEFAULT 0, -- microseconds
    error      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (webhook_id, event_id)
) WITHOUT ROWID;

-- What the program that switches an advertisement said last.
CREATE TABLE ad_switches (
    advertisement_id BLOB    NOT NULL PRIMARY KEY REFERENCES advertisements (id),
    ask              TEXT    NOT NULL CHECK (ask IN ('', 'stop', 'resume')),
    switched_at      INTEGER NOT NULL,
    switched_by      TEXT    NOT NULL,
    -- While a post that asks for something is on its way, no other one goes.
    posting_until    INTEGER NOT NULL
) WITHOUT ROWID;

-- Who was refused in a stockout, by the quarter of an hour, since in every zone
-- a day begins with one, and at the price of that time.
CREATE TABLE stockout_refusals (
    stockout_id BLOB    NOT NULL REFERENCES stockouts (id),
    quarter     INTEGER NOT NULL, -- when it began, microseconds since 1970 UTC
    buyers      INTEGER NOT NULL,
    units       INTEGER NOT NULL,
    value       INTEGER NOT NULL, -- of these units, in the product's currency
    PRIMARY KEY (stockout_id, quarter)
) WITHOUT ROWID;
-- Of those before, only the first refusal has a time.
INSERT INTO stockout_refusals (stockout_id, quarter, buyers, units, value)
    SELECT s.id, COALESCE(s.first_refused_at, s.opened_at) / 900000000 * 900000000, s.refused_buyers, s.refused_units, s.refused_units * p.price
    FROM stockouts s JOIN products p ON p.id = s.product_id WHERE s.refused_buyers > 0;
