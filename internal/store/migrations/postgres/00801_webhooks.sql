-- Other programs hear of events: a log of all of them in the order of their
-- commits, the subscriptions, and what became of each delivery. The reports of
-- stockouts need to know when buyers were refused, and what that cost.

-- +goose Up

-- One row. Who writes an event locks it to the end of his transaction, as the
-- last of his locks, so that numbers are given in the order of the commits and a
-- reader who has seen one has seen all before it.
CREATE TABLE event_log (
    id             BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last_seq       BIGINT NOT NULL,
    purged_through BIGINT NOT NULL -- what is not kept any more
);
INSERT INTO event_log (id, last_seq, purged_through) VALUES (1, 0, 0);

CREATE TABLE events (
    seq          BIGINT NOT NULL PRIMARY KEY,
    id           BYTEA  NOT NULL UNIQUE,
    type         TEXT   COLLATE "C" NOT NULL,
    subject      TEXT   COLLATE "C" NOT NULL,
    trace_parent TEXT   COLLATE "C" NOT NULL,
    body         BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE webhooks (
    id            BYTEA  NOT NULL PRIMARY KEY,
    url           TEXT   COLLATE "C" NOT NULL,
    description   TEXT   COLLATE "C" NOT NULL,
    event_types   TEXT   COLLATE "C" NOT NULL, -- separated by spaces; '' is all
    acknowledges  BYTEA  REFERENCES advertisements (id),
    secret        TEXT   COLLATE "C" NOT NULL,
    -- After a rotation both sign for a while.
    secret_before TEXT   COLLATE "C" NOT NULL DEFAULT '',
    before_until  BIGINT,
    paused        SMALLINT NOT NULL,
    created_at    BIGINT NOT NULL,
    -- Its deliveries are removed first, some at a time, and the row last.
    deleted_at    BIGINT,
    after_seq     BIGINT NOT NULL, -- events up to this one are in its queue
    failures      BIGINT NOT NULL DEFAULT 0, -- since it last took something
    failing_since BIGINT,
    last_error    TEXT   COLLATE "C" NOT NULL DEFAULT '',
    taken_at      BIGINT
);

CREATE TABLE webhook_deliveries (
    webhook_id BYTEA  NOT NULL REFERENCES webhooks (id),
    event_id   BYTEA  NOT NULL,
    type       TEXT   COLLATE "C" NOT NULL,
    subject    TEXT   COLLATE "C" NOT NULL,
    event_at   BIGINT NOT NULL,
    queued_at  BIGINT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0,
    tried_at   BIGINT,
    status     BIGINT NOT NULL DEFAULT 0, -- of the last answer; 0 is none
    took       BIGINT NOT NULL DEFAULT 0, -- microseconds
    error      TEXT   COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (webhook_id, event_id)
);

-- What the program that switches an advertisement said last.
CREATE TABLE ad_switches (
    advertisement_id BYTEA   NOT NULL PRIMARY KEY REFERENCES advertisements (id),
    ask              TEXT    COLLATE "C" NOT NULL CHECK (ask IN ('', 'stop', 'resume')),
    switched_at      BIGINT NOT NULL,
    switched_by      TEXT    COLLATE "C" NOT NULL,
    -- While a post that asks for something is on its way, no other one goes.
    posting_until    BIGINT NOT NULL
);

-- Who was refused in a stockout, by the quarter of an hour, since in every zone
-- a day begins with one, and at the price of that time.
CREATE TABLE stockout_refusals (
    stockout_id BYTEA  NOT NULL REFERENCES stockouts (id),
    quarter     BIGINT NOT NULL, -- when it began, microseconds since 1970 UTC
    buyers      BIGINT NOT NULL,
    units       BIGINT NOT NULL,
    value       BIGINT NOT NULL, -- of these units, in the product's currency
    PRIMARY KEY (stockout_id, quarter)
);
-- Of those before, only the first refusal has a time.
INSERT INTO stockout_refusals (stockout_id, quarter, buyers, units, value)
    SELECT s.id, COALESCE(s.first_refused_at, s.opened_at) / 900000000 * 900000000, s.refused_buyers, s.refused_units, s.refused_units * p.price
    FROM stockouts s JOIN products p ON p.id = s.product_id WHERE s.refused_buyers > 0;
